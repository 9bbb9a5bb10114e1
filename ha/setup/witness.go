package setup

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"time"

	"bascule/config"
	"bascule/ha"
	"bascule/ha/pve"
)

// witness plans the third vote: the store's on the witness, and on a site of two nodes corosync's there as well.
func (s *site) witness() {
	w := s.answers.Witness
	if w == nil {
		return
	}
	s.plan.Witness = []Step{RemoteMember{Layout: s.layout, Witness: *w, Config: s.plan.Config, Now: s.now}}
	s.choose("witness", string(w.Name), "it votes in the store and runs no guests; any small machine that is not one of the nodes does")
	switch {
	case s.facts.Corosync == nil:
	case s.facts.Corosync.Device != nil && s.facts.Corosync.Device.Host != "":
		s.choose("corosync's third vote", s.facts.Corosync.Device.Host, "a quorum device is there already")
	case len(s.facts.Corosync.Nodes)%2 == 0:
		s.plan.Witness = append(s.plan.Witness, QDevice{Layout: s.layout, Witness: *w})
		s.choose("corosync's third vote", string(w.Name), "with %d nodes the survivors of a loss must not stand at half the votes: /etc/pve would be read-only and nothing could be taken over", len(s.facts.Corosync.Nodes))
	}
}

// RemoteMember is a witness that runs, set up through ssh as root. Secrets travel on the standard input of ssh, never on a command line.
type RemoteMember struct {
	Layout  Layout
	Witness Witness
	Config  *config.Config
	Now     time.Time
}

// Title implements Step.
func (r RemoteMember) Title() string {
	return fmt.Sprintf("witness %s on %s: certificate, configuration, %s", r.Witness.Name, r.Witness.Host, UnitWitness)
}

// ssh runs a shell command there.
func (r RemoteMember) ssh(ctx context.Context, sys System, input []byte, command string) ([]byte, error) {
	return sys.Run(ctx, input, "ssh", "-o", "BatchMode=yes", "-o", "ConnectTimeout=10", "root@"+r.Witness.Host, command)
}

// files makes what the witness needs; a certificate that is good there already is kept.
func (r RemoteMember) files(ctx context.Context, sys System) (map[string][]byte, error) {
	cert := Certificate{Layout: Standard, Node: r.Witness.Name, Addresses: []string{r.Witness.Address}, Now: r.Now}
	common, err := sys.ReadFile(r.Layout.Common())
	if err != nil {
		return nil, err
	}
	text, _, err := Own{Node: r.Witness.Name, Witness: true, Layout: Standard}.Render(nil, common)
	if err != nil {
		return nil, err
	}
	ca, err := sys.ReadFile(r.Layout.CACert())
	if err != nil {
		return nil, err
	}
	gossip, err := sys.ReadFile(r.Layout.GossipKeys())
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{Standard.Config(): text, Standard.Local("tls/ca.pem"): ca, Standard.Local("gossip.keys"): gossip}
	havePEM, _ := r.read(ctx, sys, cert.certFile())
	haveKey, _ := r.read(ctx, sys, cert.keyFile())
	if cert.fits(havePEM, haveKey, ca) {
		files[cert.certFile()], files[cert.keyFile()] = havePEM, haveKey
		return files, nil
	}
	authority, err := loadCA(sys, r.Layout)
	if err != nil {
		return nil, err
	}
	pem, key, err := authority.Issue(cert.Node, cert.Addresses, r.Now)
	files[cert.certFile()], files[cert.keyFile()] = pem, key
	return files, err
}

// read reads a file there; nothing where there is none.
func (r RemoteMember) read(ctx context.Context, sys System, name string) ([]byte, error) {
	return r.ssh(ctx, sys, nil, "cat "+name+" 2>/dev/null || true")
}

// Done implements Step.
func (r RemoteMember) Done(ctx context.Context, sys System) (bool, error) {
	if _, err := sys.ReadFile(r.Layout.CAKey()); err != nil {
		return false, ignoreMissing(err)
	}
	if _, err := sys.ReadFile(r.Layout.Common()); err != nil {
		return false, ignoreMissing(err)
	}
	files, err := r.files(ctx, sys)
	if err != nil {
		return false, err
	}
	for name, data := range files {
		have, err := r.read(ctx, sys, name)
		if err != nil || !bytes.Equal(have, data) {
			return false, err
		}
	}
	_, err = r.ssh(ctx, sys, nil, "systemctl is-active --quiet "+UnitWitness+" && systemctl is-enabled --quiet "+UnitWitness)
	return err == nil, nil
}

// Do implements Step.
func (r RemoteMember) Do(ctx context.Context, sys System) error {
	if _, err := r.ssh(ctx, sys, nil, "command -v /usr/sbin/basculed >/dev/null"); err != nil {
		return fmt.Errorf("on %s as root /usr/sbin/basculed was not found: copy the package there and install it (scp bascule_*.deb root@%s: ; ssh root@%s apt install ./bascule_*.deb), then run this again: %w",
			r.Witness.Host, r.Witness.Host, r.Witness.Host, err)
	}
	files, err := r.files(ctx, sys)
	if err != nil {
		return err
	}
	for _, name := range sortedSet(files) {
		mode := "0600"
		if strings.HasSuffix(name, ".pem") || strings.HasSuffix(name, ".yaml") {
			mode = "0644"
		}
		command := fmt.Sprintf("umask 077; mkdir -p %s && base64 -d > %s.new && chmod %s %s.new && mv %s.new %s", path.Dir(name), name, mode, name, name, name)
		if _, err := r.ssh(ctx, sys, []byte(base64.StdEncoding.EncodeToString(files[name])), command); err != nil {
			return fmt.Errorf("%s on %s: %w", name, r.Witness.Host, err)
		}
	}
	_, err = r.ssh(ctx, sys, nil, "systemctl enable "+UnitWitness+" && systemctl restart "+UnitWitness)
	return err
}

// QDevice is corosync's third vote on the witness.
type QDevice struct {
	Layout  Layout
	Witness Witness
}

// Title implements Step.
func (q QDevice) Title() string { return "pvecm qdevice setup " + q.Witness.Address }

// Done implements Step.
func (q QDevice) Done(_ context.Context, sys System) (bool, error) {
	data, err := sys.ReadFile(path.Join(q.Layout.PVE, "corosync.conf"))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	c, err := pve.ParseCorosync(data)
	return err == nil && c.Device != nil && c.Device.Host != "", err
}

// Do implements Step. Proxmox's command wants both packages; what is missing is said before it begins.
func (q QDevice) Do(ctx context.Context, sys System) error {
	if _, err := sys.Run(ctx, nil, "ssh", "-o", "BatchMode=yes", "root@"+q.Witness.Host, "command -v corosync-qnetd >/dev/null"); err != nil {
		return fmt.Errorf("on %s corosync-qnetd is missing: ssh root@%s apt install corosync-qnetd; and on every node: apt install corosync-qdevice; then run this again: %w", q.Witness.Host, q.Witness.Host, err)
	}
	_, err := sys.Run(ctx, nil, "pvecm", "qdevice", "setup", q.Witness.Address)
	return err
}

// NodeNamed checks a witness's name.
func NodeNamed(host string) (ha.NodeName, error) {
	name := ha.NodeOf(host)
	if name == "" {
		return "", errors.New("the witness does not tell its host name")
	}
	return name, nil
}
