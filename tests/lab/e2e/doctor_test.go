//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"bascule/ha/setup/doctor"
	"bascule/tests/lab"
)

// fault is something that is broken on purpose, exactly what hactl doctor then finds besides, and how it is put right again.
type fault struct {
	name  string
	apply func() error
	want  []string // "severity id subject"
	heal  func() error
}

// TestDoctor walks one lab through faults: each brings about its findings and no others, and they vanish with it.
func TestDoctor(t *testing.T) {
	b := up(t, lab.Options{Unprotected: true})
	before := b.findings()
	t.Logf("a healthy lab: %q", before)
	for _, f := range before {
		sev, _, _ := strings.Cut(f, " ")
		_, id, _ := strings.Cut(f, " ")
		// What this machine's own clock and disk are like is no matter of the lab.
		if sev != string(doctor.Info) && !strings.HasPrefix(id, "clock-unsynchronised") && !strings.HasPrefix(id, "timing-too-fast") && !strings.HasPrefix(id, "disk-space") {
			t.Errorf("a healthy lab has %s", f)
		}
	}
	for _, f := range b.faults() {
		t.Logf("%s: %s", f.name, b.walk(f, before))
	}
	b.local()
}

// walk breaks, waits until exactly the expected is found, heals, and waits until it has vanished.
func (b *bed) walk(f fault, before []string) string {
	b.t.Helper()
	b.must(f.apply())
	slices.Sort(f.want)
	appeared := b.within(60*time.Second, fmt.Sprintf("hactl doctor finds %q after: %s", f.want, f.name), b.finds(before, f.want))
	b.must(f.heal())
	vanished := b.within(150*time.Second, "it vanishes after healing: "+f.name, b.finds(before, nil))
	return fmt.Sprintf("found %q after %s, gone %s after it was healed", f.want, appeared, vanished)
}

// finds says whether hactl doctor finds exactly this beside what it found before. What this machine's load changes does not count.
func (b *bed) finds(before, want []string) func(context.Context) error {
	return func(context.Context) error {
		now := b.findings()
		var more []string
		for _, f := range now {
			if !slices.Contains(before, f) && !strings.Contains(f, "timing-too-fast") && !strings.Contains(f, "hardware-too-slow") {
				more = append(more, f)
			}
		}
		if !slices.Equal(more, want) {
			return fmt.Errorf("found %q", more)
		}
		return nil
	}
}

// findings is what hactl doctor on node1 says above ok, sorted.
func (b *bed) findings() []string {
	b.t.Helper()
	return b.parseFindings(b.hactl("node1", "doctor", "-o", "json"))
}

func (b *bed) parseFindings(text string, code int) []string {
	b.t.Helper()
	var r struct {
		Worst    doctor.Severity
		Findings []doctor.Finding
	}
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		b.t.Fatalf("hactl doctor ends with %d: %v\n%s", code, err, text)
	}
	if want := map[doctor.Severity]int{doctor.Critical: 2, doctor.Warning: 1}[r.Worst]; code != want {
		b.t.Errorf("hactl doctor ends with %d, its worst finding is %s", code, r.Worst)
	}
	var out []string
	for _, f := range r.Findings {
		out = append(out, fmt.Sprintf("%s %s %s", f.Severity, f.ID, f.Subject))
	}
	slices.Sort(out)
	return out
}

// faults are what the lab can break, one at a time.
func (b *bed) faults() []fault {
	var apis []string
	for _, from := range b.Names() {
		for _, to := range b.Names() {
			if from != to {
				apis = append(apis, fmt.Sprintf("warning port-closed %s to %s api/tcp", from, to))
			}
		}
	}
	return []fault{
		{"port 8790 is closed between all nodes", func() error { return b.Port(b.ctx, lab.PortAPI, false) }, apis, func() error { return b.Port(b.ctx, lab.PortAPI, true) }},
		{"the token of node2 loses a privilege", func() error { return b.PVE(b.ctx, "node2", "weak-token") }, []string{"critical token-weak node node2"}, func() error { return b.PVE(b.ctx, "node2", "clear") }},
		{"node3's BMC is another machine's", func() error { return b.BMC(b.ctx, "node3", "wrong-uuid") }, []string{"critical fence-device-broken device node3-bmc"}, func() error { return b.BMC(b.ctx, "node3", "clear") }},
		b.slowToken(),
		b.otherLimits("node3"),
		b.oldAuthority("node2"),
		b.noDropIn("node2"),
	}
}

// slowToken makes corosync's token so long that the leader gives up waiting for it.
func (b *bed) slowToken() fault {
	was := b.readPVE("corosync.conf")
	return fault{"corosync's token is 10 s", func() error {
		return b.writePVE("corosync.conf", strings.Replace(was, "totem {\n", "totem {\n  token: 10000\n", 1))
	}, []string{"warning corosync-token-slow cluster"}, func() error { return b.writePVE("corosync.conf", was) }}
}

// otherLimits gives one node another configuration, and its daemon a new start.
func (b *bed) otherLimits(node string) fault {
	file := b.Node(node, "basculed.yaml")
	was, err := os.ReadFile(file)
	b.must(err)
	set := func(text []byte) error {
		return errors.Join(os.WriteFile(file, text, 0o600), b.Signal(b.ctx, node, "basculed", "KILL"))
	}
	return fault{node + " has other limits", func() error { return set(append(slices.Clone(was), "limits: {max_restart: 3}\n"...)) },
		[]string{"warning config-differs setting limits"}, func() error { return set(was) }}
}

// oldAuthority adds an authority that ends in five days to those that a node trusts.
func (b *bed) oldAuthority(node string) fault {
	file := b.Node(node, "tls", "ca.pem")
	was, err := os.ReadFile(file)
	b.must(err)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	b.must(err)
	c := &x509.Certificate{SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: "old"}, NotBefore: time.Now().Add(-360 * 24 * time.Hour), NotAfter: time.Now().Add(5 * 24 * time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	b.must(err)
	old := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return fault{"an authority of " + node + " ends soon", func() error { return os.WriteFile(file, append(slices.Clone(was), old...), 0o600) },
		[]string{"warning certificate-expiring authority certificate of " + node}, func() error { return os.WriteFile(file, was, 0o600) }}
}

// noDropIn gives a node Proxmox's unit without the drop-in that keeps it from starting protected guests.
func (b *bed) noDropIn(node string) fault {
	dir := b.Node(node, "root", "usr", "lib", "systemd", "system")
	return fault{"pve-guests.service of " + node + " has no drop-in", func() error {
		return errors.Join(os.MkdirAll(dir, 0o755), os.WriteFile(filepath.Join(dir, "pve-guests.service"), []byte("[Unit]\n"), 0o644))
	}, []string{"warning boot-check-missing node " + node}, func() error {
		drop := filepath.Join(dir, "pve-guests.service.d")
		text, err := os.ReadFile("../../../systemd/pve-guests.service.d/bascule.conf")
		return errors.Join(err, os.MkdirAll(drop, 0o755), os.WriteFile(filepath.Join(drop, "bascule.conf"), text, 0o644))
	}}
}

// local looks at node1 alone, with a configuration in which more is wrong: data in memory, no watchdog, and a guest protected that Proxmox
// would start at boot.
func (b *bed) local() {
	b.t.Helper()
	memory, err := os.MkdirTemp("/dev/shm", "doctor-")
	b.must(err)
	defer os.RemoveAll(memory)
	was, err := os.ReadFile(b.Node("node1", "basculed.yaml"))
	b.must(err)
	text := strings.Replace(string(was), fmt.Sprintf("data_dir: %q", b.Node("node1", "data")), fmt.Sprintf("data_dir: %q", memory), 1)
	text = strings.Replace(text, "driver: lab\n    device: "+fmt.Sprintf("%q", b.Node("node1", "watchdog.sock"))+"\n", "driver: none\n", 1)
	text = strings.Replace(text, "protect:\n", "protect:\n  all: true\n", 1)
	file := b.Node("node1", "wrong.yaml")
	b.must(os.WriteFile(file, []byte(text), 0o600))
	cmd := exec.CommandContext(b.ctx, filepath.Join(b.Options.Bin, "hactl"), "doctor", "--local", "--config", file, "-o", "json")
	cmd.Env = append(os.Environ(), lab.MarkVariable+"="+b.NodeDir("node1"))
	out, err := cmd.Output()
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		b.t.Fatalf("hactl doctor --local finds nothing: %v\n%s", err, out)
	}
	found := b.parseFindings(string(out), exit.ExitCode())
	for _, want := range []string{"critical data-dir-volatile node node1", "warning watchdog-none node node1"} {
		if !slices.Contains(found, want) {
			b.t.Errorf("hactl doctor --local does not find %q: %q", want, found)
		}
	}
	if !slices.ContainsFunc(found, func(f string) bool { return strings.HasPrefix(f, "warning guest-onboot ") }) {
		b.t.Errorf("hactl doctor --local finds no guest that Proxmox would start at boot: %q", found)
	}
	b.t.Logf("hactl doctor --local: %q", found)
}

// readPVE and writePVE are /etc/pve of node1, as pmxcfs has it.
func (b *bed) readPVE(name string) string {
	b.t.Helper()
	data, err := b.pmxcfs(map[string]any{"op": "read", "path": name})
	b.must(err)
	return string(data)
}

func (b *bed) writePVE(name, text string) error {
	_, err := b.pmxcfs(map[string]any{"op": "write", "path": name, "data": []byte(text)})
	return err
}

func (b *bed) pmxcfs(request map[string]any) ([]byte, error) {
	body, err := json.Marshal(request)
	if err != nil {
		return nil, err
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", b.Node("node1", "pmxcfs.sock"))
	}}}
	resp, err := client.Post("http://pmxcfs/", "application/json", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	var a struct {
		Errno string
		Data  []byte
	}
	if err := json.Unmarshal(text, &a); err != nil {
		return nil, err
	}
	if a.Errno != "" {
		return nil, fmt.Errorf("pmxcfs refuses: %s", a.Errno)
	}
	return a.Data, nil
}
