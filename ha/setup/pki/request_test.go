package pki

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"bascule/ha"
)

// A witness gets its new certificate from a node, and its key never leaves it.
func TestARequestIsAnswered(t *testing.T) {
	h := newHome(t, newCA(t), today)
	h.Root = ""
	old := h.read(h.Files.Cert)
	csr, err := h.Request()
	if err != nil {
		t.Fatal(err)
	}
	if h.read(h.Files.Cert) != old || !h.fits() {
		t.Fatal("asking has changed the certificate in use")
	}
	now := today.Add(Lifetime - time.Hour)
	certPEM, err := h.ca.Sign(csr, "node1", now)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.SetCertificate(certPEM); err != nil {
		t.Fatal(err)
	}
	if f := h.Look(now); !h.fits() || f.Problem != "" || !f.Ends.Equal(now.Add(Lifetime)) {
		t.Errorf("after it: %+v, fits %v", f, h.fits())
	}
	for _, a := range []string{"node1", "10.0.0.1", "192.168.7.1"} {
		if err := parse(t, certPEM).VerifyHostname(a); err != nil {
			t.Error(err)
		}
	}
}

func TestRequestsAreRefused(t *testing.T) {
	h := newHome(t, newCA(t), today)
	csr, err := h.Request()
	if err != nil {
		t.Fatal(err)
	}
	tampered := bytes.Clone(csr)
	i := bytes.IndexByte(tampered, '\n') + 100
	tampered[i] ^= 1
	for _, tt := range []struct {
		what    string
		request []byte
		name    ha.NodeName
	}{
		{"another member's", csr, "node2"},
		{"no request", []byte("x"), "node1"},
		{"a certificate", h.ca.CertPEM(), "node1"},
		{"changed on its way", tampered, "node1"},
	} {
		if _, err := h.ca.Sign(tt.request, tt.name, today); !errors.Is(err, ErrRequest) {
			t.Errorf("%s: %v", tt.what, err)
		}
	}
}

func TestCertificatesAreRefused(t *testing.T) {
	h, other := newHome(t, newCA(t), today), newCA(t)
	before := h.read(h.Files.Cert)
	csr, err := h.Request()
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := other.Sign(csr, "node1", today)
	if err != nil {
		t.Fatal(err)
	}
	otherKey, _ := issue(t, h.ca, "node1", today, "10.0.0.1")
	otherName, _ := issue(t, h.ca, "node2", today, "10.0.0.1")
	for what, certPEM := range map[string][]byte{
		"another authority's": foreign, "of another key": otherKey, "of another member": otherName, "no certificate": []byte("x"),
	} {
		if err := h.SetCertificate(certPEM); err == nil {
			t.Errorf("%s: was taken", what)
		}
		if h.read(h.Files.Cert) != before || !h.fits() {
			t.Fatalf("%s: the certificate in use has changed", what)
		}
	}
}
