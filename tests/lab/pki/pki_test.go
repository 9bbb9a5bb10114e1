package pki

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
)

func issue(t *testing.T, ca *CA, name string, hosts ...string) Pair {
	t.Helper()
	p, err := ca.Issue(name, hosts...)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func newCA(t *testing.T) *CA {
	t.Helper()
	ca, err := New("test CA")
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

// handshake lets a client with one certificate talk to a server with another and returns what the client saw.
func handshake(t *testing.T, server, client *tls.Config) error {
	t.Helper()
	a, b := net.Pipe()
	defer a.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer b.Close()
		conn := tls.Server(b, server)
		if conn.Handshake() == nil {
			_, _ = conn.Write([]byte("x"))
		}
	}()
	// In TLS 1.3 a refused client certificate shows only when the client reads.
	conn := tls.Client(a, client)
	_, err := conn.Read(make([]byte, 1))
	_ = a.Close()
	<-done
	if err == io.EOF {
		return nil
	}
	return err
}

func TestMutualTLS(t *testing.T) {
	ca, other := newCA(t), newCA(t)
	node := issue(t, ca, "node1", "127.9.0.1", "127.9.1.1", "node1", "localhost")
	stranger := issue(t, other, "node1", "127.9.1.1")
	server := &tls.Config{Certificates: []tls.Certificate{node.TLS}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: ca.Pool()}
	client := func(name string, pool *x509.CertPool, pair Pair) *tls.Config {
		return &tls.Config{ServerName: name, RootCAs: pool, Certificates: []tls.Certificate{pair.TLS}}
	}
	for _, c := range []struct {
		name   string
		config *tls.Config
		ok     bool
	}{
		{"by public address", client("127.9.1.1", ca.Pool(), node), true},
		{"by bind address", client("127.9.0.1", ca.Pool(), node), true},
		{"by node name", client("node1", ca.Pool(), node), true},
		{"by another address", client("127.9.1.2", ca.Pool(), node), false},
		{"trusting another CA", client("node1", other.Pool(), node), false},
		{"with another CA's certificate", client("node1", ca.Pool(), stranger), false},
	} {
		if err := handshake(t, server, c.config); (err == nil) != c.ok {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestFiles(t *testing.T) {
	ca := newCA(t)
	p := issue(t, ca, "node1", "localhost")
	dir := filepath.Join(t.TempDir(), "tls")
	if err := ca.Write(dir, p); err != nil {
		t.Fatal(err)
	}
	if _, err := tls.LoadX509KeyPair(filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")); err != nil {
		t.Error(err)
	}
	data, err := os.ReadFile(filepath.Join(dir, "ca.pem"))
	if pool := x509.NewCertPool(); err != nil || !pool.AppendCertsFromPEM(data) {
		t.Errorf("ca.pem: %v", err)
	}
	info, err := os.Stat(filepath.Join(dir, "key.pem"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("key.pem: %v %v", info.Mode(), err)
	}
}
