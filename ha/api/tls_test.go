package api_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io/fs"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bascule/ha"
	"bascule/ha/api"
	"bascule/ha/api/apitest"
)

// authority is a certificate authority whose files lie in a directory of the test.
type authority struct {
	t    *testing.T
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	next int64
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t, dir: t.TempDir(), next: 1}
	a.cert, a.key = a.issue("ca", nil)
	return a
}

func (a *authority) file(name string) string { return filepath.Join(a.dir, name) }

// issue writes NAME.pem and NAME.key and returns the pair; the first one signs itself.
func (a *authority) issue(name string, hosts []net.IP) (*x509.Certificate, *ecdsa.PrivateKey) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(a.next), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: hosts, KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	a.next++
	parent, signer := a.cert, a.key
	if parent == nil {
		tmpl.IsCA, tmpl.BasicConstraintsValid, tmpl.KeyUsage, tmpl.ExtKeyUsage = true, true, x509.KeyUsageCertSign, nil
		parent, signer = tmpl, key
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, parent, &key.PublicKey, signer)
	if err != nil {
		a.t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	a.write(name+".pem", "CERTIFICATE", der, 0o644)
	a.write(name+".key", "PRIVATE KEY", pkcs8, 0o600)
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return cert, key
}

func (a *authority) write(name, kind string, der []byte, mode fs.FileMode) {
	a.t.Helper()
	if err := os.WriteFile(a.file(name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), mode); err != nil {
		a.t.Fatal(err)
	}
}

// serveTLS answers on a free port of 127.0.0.1 and returns the address.
func (a *authority) serveTLS(f *apitest.Fake) string {
	a.t.Helper()
	a.issue("node1", []net.IP{net.IPv4(127, 0, 0, 1)})
	cfg, err := api.ServerTLS(a.file("ca.pem"), a.file("node1.pem"), a.file("node1.key"))
	if err != nil {
		a.t.Fatal(err)
	}
	l, err := api.ListenTLS("127.0.0.1:0", cfg)
	if err != nil {
		a.t.Fatal(err)
	}
	run(a.t, f, l)
	return l.Addr().String()
}

func TestMutualTLS(t *testing.T) {
	a := newAuthority(t)
	f := apitest.NewFake(apitest.Well())
	addr := a.serveTLS(f)
	a.issue("alices-laptop", nil)
	c, err := api.NewTLSClient(addr, a.file("ca.pem"), a.file("alices-laptop.pem"), a.file("alices-laptop.key"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if s, err := c.Status(t.Context()); err != nil || s.Cluster != "lan" {
		t.Fatalf("%v, %v", s.Cluster, err)
	}
	if _, err := c.Request(t.Context(), ha.RequestDrain, api.RequestBody{Node: "node2", By: "alice"}); err != nil {
		t.Fatal(err)
	}
	if got := f.Requests()[0].By; got != "alice (certificate alices-laptop)" {
		t.Errorf("by %q", got)
	}
}

// TestStrangersAreRefused: no certificate, another authority's, and a server that is another cluster's.
func TestStrangersAreRefused(t *testing.T) {
	a, other := newAuthority(t), newAuthority(t)
	f := apitest.NewFake(apitest.Well())
	addr := a.serveTLS(f)
	other.issue("mallory", nil)
	a.issue("alice", nil)

	bare := &tls.Config{RootCAs: x509.NewCertPool(), InsecureSkipVerify: true, MinVersion: tls.VersionTLS13}
	if conn, err := tls.Dial("tcp", addr, bare); err == nil {
		conn.SetDeadline(time.Now().Add(5 * time.Second))
		conn.Write([]byte("GET /v1/status HTTP/1.1\r\nHost: x\r\n\r\n"))
		if n, err := conn.Read(make([]byte, 100)); err == nil {
			t.Errorf("%d bytes answered to a caller without a certificate", n)
		}
		conn.Close()
	}
	for name, files := range map[string][3]string{
		"another authority's certificate": {a.file("ca.pem"), other.file("mallory.pem"), other.file("mallory.key")},
		"another cluster's server":        {other.file("ca.pem"), a.file("alice.pem"), a.file("alice.key")},
	} {
		c, err := api.NewTLSClient(addr, files[0], files[1], files[2])
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Status(t.Context()); !errors.Is(err, api.ErrNoAnswer) || !strings.Contains(err.Error(), "authority") {
			t.Errorf("%s: %v", name, err)
		}
		c.Close()
	}
}

func TestTLSFiles(t *testing.T) {
	a := newAuthority(t)
	a.issue("n", nil)
	a.issue("m", nil)
	if err := os.WriteFile(a.file("junk.pem"), []byte("junk"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(a.file("m.key"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ ca, cert, key, want string }{
		{"absent.pem", "n.pem", "n.key", "no such file"},
		{"junk.pem", "n.pem", "n.key", "holds no PEM certificate"},
		{"ca.pem", "n.pem", "absent.key", "no such file"},
		{"ca.pem", "m.pem", "m.key", "chmod 600"},
		{"ca.pem", "m.pem", "n.key", "TLS certificate"},
	} {
		if _, err := api.ServerTLS(a.file(c.ca), a.file(c.cert), a.file(c.key)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

// The authority is replaced under a server and a client that go on: first both trust two, then one shows a certificate of the new one, then
// the old one goes. Who has shown a certificate of the old one is turned away then, on the connection that stands, and at the next.
func TestAnotherAuthorityIsTakenUp(t *testing.T) {
	a, b := newAuthority(t), newAuthority(t)
	f := apitest.NewFake(apitest.Well())
	a.issue("node1", []net.IP{net.IPv4(127, 0, 0, 1)})
	b.next = 100
	b.issue("node1", []net.IP{net.IPv4(127, 0, 0, 1)})
	a.issue("node9", nil)
	b.issue("alice", nil)
	cfg, err := api.ServerTLS(a.file("ca.pem"), a.file("node1.pem"), a.file("node1.key"))
	if err != nil {
		t.Fatal(err)
	}
	l, err := api.ListenTLS("127.0.0.1:0", cfg)
	if err != nil {
		t.Fatal(err)
	}
	srv := api.NewServer(f, nil)
	if err := srv.Trusting(a.file("ca.pem")); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(ctx, l) }()
	defer func() { cancel(); <-ended }()
	client := func(caller *authority, name string) *api.Client {
		t.Helper()
		c, err := api.NewTLSClient(l.Addr().String(), a.file("ca.pem"), caller.file(name+".pem"), caller.file(name+".key"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.Close)
		return c
	}
	trust := func(files ...string) {
		t.Helper()
		var text []byte
		for _, file := range files {
			part, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			text = append(text, part...)
		}
		if err := errors.Join(os.WriteFile(a.file("next.pem"), text, 0o600), os.Rename(a.file("next.pem"), a.file("ca.pem"))); err != nil {
			t.Fatal(err)
		}
	}
	oldCA := a.file("old-ca.pem")
	if text, err := os.ReadFile(a.file("ca.pem")); err != nil || os.WriteFile(oldCA, text, 0o600) != nil {
		t.Fatal(err)
	}
	removed, alice := client(a, "node9"), client(b, "alice")
	if _, err := removed.Status(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := alice.Status(t.Context()); !errors.Is(err, api.ErrNoAnswer) {
		t.Fatalf("of an authority that is not trusted yet: %v", err)
	}
	trust(oldCA, b.file("ca.pem"))
	for name, c := range map[string]*api.Client{"old": removed, "new": alice} {
		if _, err := c.Status(t.Context()); err != nil {
			t.Errorf("both trusted, %s: %v", name, err)
		}
	}
	for _, ext := range []string{".pem", ".key"} { // the server's own
		if err := os.Rename(b.file("node1"+ext), a.file("node1"+ext)); err != nil {
			t.Fatal(err)
		}
	}
	trust(b.file("ca.pem"))
	var refused *api.Error
	if _, err := removed.Status(t.Context()); !errors.As(err, &refused) || refused.Code != http.StatusUnauthorized || !strings.Contains(refused.Message, "node9") {
		t.Errorf("the old one gone, on the connection that stood: %v", err)
	}
	if _, err := removed.Status(t.Context()); !errors.Is(err, api.ErrNoAnswer) {
		t.Errorf("the old one gone, on another connection: %v", err)
	}
	if _, err := alice.Status(t.Context()); err != nil {
		t.Errorf("the new one: %v", err)
	}
}
