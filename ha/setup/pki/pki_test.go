package pki

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"time"

	"bascule/ha"
)

var today = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func newCA(t *testing.T) *CA {
	t.Helper()
	ca, err := NewCA("lan", today)
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

func issue(t *testing.T, ca *CA, name ha.NodeName, now time.Time, addresses ...string) (certPEM, keyPEM []byte) {
	t.Helper()
	certPEM, keyPEM, err := ca.Issue(name, addresses, now)
	if err != nil {
		t.Fatal(err)
	}
	return certPEM, keyPEM
}

func parse(t *testing.T, certPEM []byte) *x509.Certificate {
	t.Helper()
	cert, err := ParseCertificate(certPEM)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// A member's certificate serves and calls, under its name and each address, today, at a clock's birth in 1970, and not after two years.
func TestIssuedCertificateVerifies(t *testing.T) {
	ca := newCA(t)
	certPEM, keyPEM := issue(t, ca, "node1", today, "10.0.0.1", "fd00::1", "node1.lan", "node1")
	if _, err := tls.X509KeyPair(certPEM, keyPEM); err != nil {
		t.Fatal(err)
	}
	cert := parse(t, certPEM)
	verify := func(ca *CA, name string, at time.Time, use x509.ExtKeyUsage) error {
		_, err := cert.Verify(x509.VerifyOptions{Roots: ca.Pool(), DNSName: name, CurrentTime: at, KeyUsages: []x509.ExtKeyUsage{use}})
		return err
	}
	for _, tt := range []struct {
		what string
		name string
		at   time.Time
		use  x509.ExtKeyUsage
		ok   bool
	}{
		{"the member's name", "node1", today, x509.ExtKeyUsageServerAuth, true},
		{"its address", "10.0.0.1", today, x509.ExtKeyUsageServerAuth, true},
		{"its IPv6 address", "fd00::1", today, x509.ExtKeyUsageServerAuth, true},
		{"its other name", "node1.lan", today, x509.ExtKeyUsageServerAuth, true},
		{"as a client", "node1", today, x509.ExtKeyUsageClientAuth, true},
		{"another's address", "10.0.0.2", today, x509.ExtKeyUsageServerAuth, false},
		{"for mail", "node1", today, x509.ExtKeyUsageEmailProtection, false},
		{"a dead clock", "node1", time.Unix(0, 0), x509.ExtKeyUsageServerAuth, true},
		{"its last day", "node1", today.Add(Lifetime - time.Hour), x509.ExtKeyUsageServerAuth, true},
		{"after its end", "node1", today.Add(Lifetime + time.Hour), x509.ExtKeyUsageServerAuth, false},
	} {
		if err := verify(ca, tt.name, tt.at, tt.use); (err == nil) != tt.ok {
			t.Errorf("%s: %v", tt.what, err)
		}
	}
	if err := verify(newCA(t), "node1", today, x509.ExtKeyUsageServerAuth); err == nil {
		t.Error("another cluster's authority vouches for this member")
	}
	if len(cert.DNSNames) != 2 {
		t.Errorf("names %v, want each once", cert.DNSNames)
	}
}

// A member is no authority: what its key signs is worth nothing.
func TestMemberSignsNothing(t *testing.T) {
	ca := newCA(t)
	certPEM, keyPEM := issue(t, ca, "node1", today, "10.0.0.1")
	if _, err := ParseCA(certPEM, keyPEM); !errors.Is(err, ErrCA) {
		t.Errorf("a member's certificate was taken for an authority: %v", err)
	}
}

func TestParseCA(t *testing.T) {
	ca, other := newCA(t), newCA(t)
	keyPEM, err := ca.KeyPEM()
	if err != nil {
		t.Fatal(err)
	}
	back, err := ParseCA(ca.CertPEM(), keyPEM)
	if err != nil || !bytes.Equal(back.CertPEM(), ca.CertPEM()) {
		t.Fatalf("written and read back: %v", err)
	}
	certPEM, _ := issue(t, back, "node1", today, "10.0.0.1")
	if _, err := parse(t, certPEM).Verify(x509.VerifyOptions{Roots: ca.Pool(), CurrentTime: today}); err != nil {
		t.Errorf("signed by the one read back: %v", err)
	}
	for _, tt := range []struct {
		what      string
		cert, key []byte
	}{
		{"another's key", other.CertPEM(), keyPEM},
		{"no certificate", []byte("hello"), keyPEM},
		{"no key", ca.CertPEM(), []byte("hello")},
		{"a damaged key", ca.CertPEM(), []byte("-----BEGIN PRIVATE KEY-----\nc2VjcmV0LXRleHQ=\n-----END PRIVATE KEY-----\n")},
		{"key and certificate exchanged", keyPEM, ca.CertPEM()},
		{"empty files", nil, nil},
	} {
		_, err := ParseCA(tt.cert, tt.key)
		if !errors.Is(err, ErrCA) {
			t.Errorf("%s: %v, want ErrCA", tt.what, err)
		} else if strings.Contains(err.Error(), "secret-text") {
			t.Errorf("%s: the error repeats the key: %v", tt.what, err)
		}
	}
}

func TestIssueRefuses(t *testing.T) {
	ca := newCA(t)
	for _, tt := range []struct {
		what      string
		name      ha.NodeName
		addresses []string
		now       time.Time
	}{
		{"no name", "", []string{"10.0.0.1"}, today},
		{"an empty address", "node1", []string{""}, today},
		{"after the authority's end", "node1", []string{"10.0.0.1"}, today.Add(CALifetime)},
	} {
		if _, _, err := ca.Issue(tt.name, tt.addresses, tt.now); err == nil {
			t.Errorf("%s: was signed", tt.what)
		}
	}
	certPEM, _ := issue(t, ca, "node1", today.Add(CALifetime-time.Hour), "10.0.0.1")
	if end := parse(t, certPEM).NotAfter; end.After(today.Add(CALifetime)) {
		t.Errorf("ends on %v, after its authority", end)
	}
}

func TestRenew(t *testing.T) {
	certPEM, _ := issue(t, newCA(t), "node1", today, "10.0.0.1")
	for _, tt := range []struct {
		what string
		now  time.Time
		due  bool
	}{
		{"new", today, false},
		{"two thirds of its life less a day", today.Add(Lifetime*2/3 - 24*time.Hour), false},
		{"a third is left", today.Add(Lifetime * 2 / 3), true},
		{"ended", today.Add(Lifetime + time.Hour), true},
		{"a clock of 1970", time.Unix(0, 0), false},
	} {
		due, left, err := Renew(certPEM, tt.now)
		if err != nil || due != tt.due {
			t.Errorf("%s: due %v, %v", tt.what, due, err)
		}
		if want := today.Add(Lifetime).Sub(tt.now); left != want {
			t.Errorf("%s: left %v, want %v", tt.what, left, want)
		}
	}
	if _, _, err := Renew([]byte("hello"), today); err == nil {
		t.Error("no certificate, and no error")
	}
}

func TestNewGossipKey(t *testing.T) {
	a, b := NewGossipKey(), NewGossipKey()
	raw, err := base64.StdEncoding.DecodeString(a)
	if err != nil || len(raw) != 32 || a == b || strings.ContainsAny(a, "\r\n") {
		t.Errorf("keys %d bytes, %v, equal: %v", len(raw), err, a == b)
	}
}
