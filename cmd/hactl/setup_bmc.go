package main

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"bascule/config"
	"bascule/fencing"
	"bascule/fencing/methods"
	"bascule/ha"
	"bascule/ha/setup"
	"bascule/ha/setup/discover"
)

// bmcLimit bounds the reading of one BMC.
const bmcLimit = 20 * time.Second

// parseBMC reads "[NODE=]METHOD:ADDRESS,key=value,…". The password comes from a file.
func parseBMC(text string, self ha.NodeName) (setup.Device, error) {
	node := self
	head, rest, _ := strings.Cut(text, ",")
	if before, after, ok := strings.Cut(head, "="); ok {
		node, head = ha.NodeName(before), after
	}
	method, address, ok := strings.Cut(head, ":")
	if !ok || address == "" || method != "ipmi" && method != "redfish" {
		return setup.Device{}, usagef("--bmc %s: write [NODE=]ipmi:ADDRESS,user=USER,password-file=FILE, or redfish:ADDRESS,…", head)
	}
	d := newBMC(node, method, address)
	for _, kv := range strings.FieldsFunc(rest, func(r rune) bool { return r == ',' }) {
		key, value, ok := strings.Cut(kv, "=")
		switch {
		case !ok:
			return d, usagef("--bmc of %s: %q is no key=value", node, key)
		case key == "password-file":
			password, err := fencing.ReadSecret("password-file", value)
			if err != nil {
				return d, err
			}
			d.Password = password
		case key == "password":
			return d, usagef("--bmc of %s: no password on a command line, where every user of this machine can read it: password-file=FILE", node)
		default:
			d.Settings[key] = value
		}
	}
	return d, nil
}

func newBMC(node ha.NodeName, method, address string) setup.Device {
	d := setup.Device{DeviceSettings: config.DeviceSettings{Name: string(node) + "-bmc", Node: node, Method: method, Settings: map[string]string{"address": address}}}
	if method == "redfish" {
		d.Settings = map[string]string{"url": "https://" + strings.TrimPrefix(address, "https:"+"//")}
	}
	return d
}

// askBMCs asks for the BMC of every node that has none yet.
func (r *setupRun) askBMCs(ctx context.Context, a *asker, f discover.Facts, nodes []ha.NodeName) error {
	for _, text := range r.bmcs {
		d, err := parseBMC(text, f.Node)
		if err != nil {
			return err
		}
		r.answers.Devices = append(r.answers.Devices, d)
	}
	if a.somebody() && len(r.bmcs) == 0 {
		for _, node := range nodes {
			d, err := r.askBMC(ctx, a, f, node)
			if err != nil {
				return err
			}
			if d != nil {
				r.answers.Devices = append(r.answers.Devices, *d)
			}
		}
	}
	for i := range r.answers.Devices {
		if err := r.tryBMC(ctx, &r.answers.Devices[i], f); err != nil {
			return err
		}
	}
	return nil
}

func (r *setupRun) askBMC(ctx context.Context, a *asker, f discover.Facts, node ha.NodeName) (*setup.Device, error) {
	def := ""
	if node == f.Node && f.BMC.Address != "" {
		def = "ipmi:" + f.BMC.Address
	}
	answer, err := a.ask(ctx, fmt.Sprintf("BMC of %s (ipmi:ADDRESS or redfish:ADDRESS, - for none)", node), def)
	if err != nil || answer == "" || answer == "-" {
		return nil, err
	}
	method, address, ok := strings.Cut(answer, ":")
	if !ok || method != "ipmi" && method != "redfish" {
		return nil, usagef("%q: write ipmi:ADDRESS or redfish:ADDRESS", answer)
	}
	d := newBMC(node, method, address)
	if d.Settings["user"], err = a.ask(ctx, "its user, who may switch power", "bascule"); err != nil {
		return nil, err
	}
	d.Password, err = a.secret(ctx, "its password (not shown)")
	return &d, err
}

// tryBMC reads the power through a BMC before it is written down: a wrong address or password is found now and not at the first death.
func (r *setupRun) tryBMC(ctx context.Context, d *setup.Device, f discover.Facts) error {
	if err := pin(ctx, d); err != nil {
		return err
	}
	if d.Password == "" {
		return usagef("the BMC of %s has no password: add password-file=FILE (mode 0600)", d.Node)
	}
	dir, err := os.MkdirTemp("", "hactl-bmc-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "password")
	if err := os.WriteFile(file, []byte(d.Password+"\n"), 0o600); err != nil {
		return err
	}
	settings := map[string]string{"password_file": file}
	for k, v := range d.Settings {
		settings[k] = v
	}
	device, err := methods.All().Open(fencing.Spec{Name: d.Name, Node: d.Node, Method: d.Method, Settings: settings})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, bmcLimit)
	defer cancel()
	began := time.Now()
	reading, err := device.Power.Read(ctx)
	if err != nil {
		return fmt.Errorf("the BMC of %s (%s %s) cannot be read, so it would not work when it matters: %w", d.Node, d.Method, d.Settings["address"]+d.Settings["url"], err)
	}
	if d.Node == f.Node && f.UUID != "" && reading.SystemUUID != "" && !ha.SameUUID(reading.SystemUUID, f.UUID) {
		return fmt.Errorf("the BMC given for %s is another machine's (system UUID %s, this machine's is %s): look at the address and at the cable", d.Node, fencing.Printable(reading.SystemUUID, 64), f.UUID)
	}
	r.tell(fmt.Sprintf("read  %s: power %s, %d ms\n", d.Name, reading.Power, time.Since(began).Milliseconds()))
	return nil
}

// pin notes the certificate that a Redfish controller shows now, where nothing says how to know it.
func pin(ctx context.Context, d *setup.Device) error {
	s := d.Settings
	if d.Method != "redfish" || s["fingerprint"]+s["ca_file"]+s["insecure"] != "" {
		return nil
	}
	u, err := url.Parse(s["url"])
	if err != nil {
		return usagef("the BMC of %s: its address is not one", d.Node)
	}
	host := u.Host
	if u.Port() == "" {
		host = net.JoinHostPort(u.Hostname(), "443")
	}
	ctx, cancel := context.WithTimeout(ctx, bmcLimit)
	defer cancel()
	// Nothing is sent: the certificate is only looked at, to be recognised from now on.
	dialer := tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}}
	conn, err := dialer.DialContext(ctx, "tcp", host)
	if err != nil {
		return fmt.Errorf("the BMC of %s at %s does not answer: %w", d.Node, host, err)
	}
	defer conn.Close()
	certs := conn.(*tls.Conn).ConnectionState().PeerCertificates
	if len(certs) == 0 {
		return errors.New("the BMC of " + string(d.Node) + " shows no certificate")
	}
	sum := sha256.Sum256(certs[0].Raw)
	s["fingerprint"] = hex.EncodeToString(sum[:])
	return nil
}
