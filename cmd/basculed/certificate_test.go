package main

import (
	"context"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"bascule/config"
	"bascule/ha"
	"bascule/ha/api"
	"bascule/ha/api/apitest"
	"bascule/ha/setup/pki"
)

// trio is two Proxmox nodes with the authority and a witness without, each with its certificate; the nodes answer on loopback.
type trio struct {
	*testing.T
	dir   string
	ca    *pki.CA
	port  int
	today time.Time
}

func newTrio(t *testing.T) *trio {
	t.Helper()
	c := &trio{T: t, dir: t.TempDir(), today: time.Now()}
	var err error
	if c.ca, err = pki.NewCA("lan", c.today); err != nil {
		t.Fatal(err)
	}
	key, err := c.ca.KeyPEM()
	if err != nil {
		t.Fatal(err)
	}
	c.write("pve/"+pki.SharedCA, c.ca.CertPEM())
	c.write("pve/"+pki.SharedCAKey, key)
	for name, address := range map[ha.NodeName]string{"node1": "127.95.0.1", "node2": "127.95.0.2", "witness1": "127.95.0.3"} {
		certPEM, keyPEM, err := c.ca.Issue(name, []string{address}, c.today)
		if err != nil {
			t.Fatal(err)
		}
		c.write(string(name)+"/ca.pem", c.ca.CertPEM())
		c.write(string(name)+"/node.pem", certPEM)
		c.write(string(name)+"/node.key", keyPEM)
	}
	return c
}

func (c *trio) write(rel string, data []byte) {
	c.Helper()
	path := filepath.Join(c.dir, rel)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, data, 0o600)); err != nil {
		c.Fatal(err)
	}
}

// config is a member's; the third is the witness.
func (c *trio) config(name ha.NodeName) *config.Config {
	c.Helper()
	role := ""
	if name == "witness1" {
		role = "role: witness\n"
	}
	conf, err := config.Parse("x.yaml", fmt.Appendf(nil, `cluster: lan
node: %s
%smembers: [{name: node1, address: 127.95.0.1}, {name: node2, address: 127.95.0.2}, {name: witness1, address: 127.95.0.3, witness: true}]
tls: {ca_file: %[3]s/ca.pem, cert_file: %[3]s/node.pem, key_file: %[3]s/node.key}
api: {port: %[4]d}
proxmox: {root: %[5]s}
`, name, role, filepath.Join(c.dir, string(name)), max(c.port, 1), filepath.Join(c.dir, "pve")))
	if err != nil {
		c.Fatal(err)
	}
	return conf
}

// serve lets a node answer as its daemon does.
func (c *trio) serve(name ha.NodeName, sign func(*x509.Certificate, []byte) ([]byte, error)) {
	c.Helper()
	conf := c.config(name)
	f := apitest.NewFake(apitest.Well())
	f.OnSign(sign)
	t, err := api.ServerTLS(conf.TLS.CAFile, conf.TLS.CertFile, conf.TLS.KeyFile)
	if err != nil {
		c.Fatal(err)
	}
	l, err := api.ListenTLS(net.JoinHostPort(conf.Self().Address, strconv.Itoa(c.port)), t)
	if err != nil {
		c.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); _ = api.NewServer(f, nil).Serve(ctx, l) }()
	c.Cleanup(func() { cancel(); <-ended })
	c.port = l.Addr().(*net.TCPAddr).Port
}

// signs is what a node with the authority answers at a moment.
func (c *trio) signs(name ha.NodeName, now time.Time) func(*x509.Certificate, []byte) ([]byte, error) {
	return func(asker *x509.Certificate, request []byte) ([]byte, error) {
		return signFor(c.config(name), asker, request, now)
	}
}

// A witness renews its certificate by itself: it asks the nodes one after the other, under its present certificate.
func TestAWitnessRenewsItself(t *testing.T) {
	c := newTrio(t)
	late := c.today.Add(pki.Lifetime*3/4 + time.Hour)
	c.serve("node1", func(*x509.Certificate, []byte) ([]byte, error) { return nil, errors.New("/etc/pve is not mounted") })
	c.serve("node2", c.signs("node2", late))
	k := newKeeper(c.config("witness1"))
	if f := k.Look(t.Context(), c.today); f.Renewed || f.Problem != "" {
		t.Fatalf("too early: %+v", f)
	}
	f := k.Look(t.Context(), late)
	if !f.Renewed || f.Problem != "" || f.Ends.Sub(late) < pki.Lifetime-time.Minute {
		t.Fatalf("%+v", f)
	}
	if f := k.Look(t.Context(), late.Add(time.Hour)); f.Renewed {
		t.Error("renewed twice")
	}
}

// While nobody signs, that is told months ahead; when it is too late, what is to be done by hand.
func TestAWitnessThatNobodyAnswers(t *testing.T) {
	c := newTrio(t)
	c.serve("node1", func(*x509.Certificate, []byte) ([]byte, error) { return nil, errors.New("/etc/pve is not mounted") })
	k := newKeeper(c.config("witness1"))
	f := k.Look(t.Context(), c.today.Add(pki.Lifetime-200*24*time.Hour-time.Hour))
	for _, want := range []string{"ends in 200 days", "no node has signed it", "node1", "/etc/pve is not mounted", "node2"} {
		if !strings.Contains(f.Problem, want) {
			t.Errorf("%q does not say %q", f.Problem, want)
		}
	}
	if strings.Contains(f.Problem, "hactl witness renew") {
		t.Errorf("it calls for hands already: %s", f.Problem)
	}
	if f := k.Look(t.Context(), c.today.Add(pki.Lifetime+48*time.Hour)); !strings.Contains(f.Problem, "hactl witness renew witness1") {
		t.Errorf("too late: %s", f.Problem)
	}
}

// Only a witness of the configuration is signed for, and it gets the name and the address that the configuration has.
func TestWhomANodeSignsFor(t *testing.T) {
	c := newTrio(t)
	asker := func(name ha.NodeName) *x509.Certificate {
		t.Helper()
		certPEM, _, err := c.ca.Issue(name, []string{"127.95.0.9"}, c.today)
		if err != nil {
			t.Fatal(err)
		}
		cert, err := pki.ParseCertificate(certPEM)
		if err != nil {
			t.Fatal(err)
		}
		return cert
	}
	for _, tt := range []struct {
		by, name ha.NodeName
		want     string
	}{
		{"node1", "node2", "signs for itself"},
		{"node1", "node7", "no member"},
		{"witness1", "witness1", "has no authority"},
		{"node1", "witness1", "certificate refused"}, // the asker may; what it sends is no request
	} {
		if _, err := signFor(c.config(tt.by), asker(tt.name), []byte("x"), c.today); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s asked by %s: %v", tt.by, tt.name, err)
		}
	}
}

// Nodes sign with the authority at hand, whoever else is there.
func TestANodeRenewsItself(t *testing.T) {
	c := newTrio(t)
	if f := newKeeper(c.config("node1")).Look(t.Context(), c.today.Add(pki.Lifetime)); !f.Renewed || f.Problem != "" {
		t.Errorf("%+v", f)
	}
}

// Whom a member trusts is not for everybody to say: a node looks into /etc/pve, where root alone writes; a witness believes nodes only.
func TestWhoMayReplaceTheAuthority(t *testing.T) {
	c := newTrio(t)
	other, err := pki.NewCA("lan", c.today)
	if err != nil {
		t.Fatal(err)
	}
	asker := func(name string) *x509.Certificate { return &x509.Certificate{Subject: pkix.Name{CommonName: name}} }
	both := append(c.ca.CertPEM(), other.CertPEM()...)
	for _, tt := range []struct {
		what  string
		at    ha.NodeName
		asker *x509.Certificate
		pem   []byte
		want  string
	}{
		{"a node is given what /etc/pve has", "node1", asker("node2"), c.ca.CertPEM(), ""},
		{"a node is given another one beside it", "node1", asker("node2"), both, "does not hold"},
		{"even by root", "node1", nil, both, "does not hold"},
		{"nothing", "node1", asker("node2"), nil, "no certificate"},
		{"a witness by a node", "witness1", asker("node1"), both, ""},
		{"a witness by root on it", "witness1", nil, both, ""},
		{"a witness by a node that was removed", "witness1", asker("node9"), both, "may not say"},
		{"a witness by itself", "witness1", asker("witness1"), both, "may not say"},
	} {
		if err := mayReplace(c.config(tt.at), tt.asker, tt.pem); (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.what, err, tt.want)
		}
	}
}
