package pki

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"bascule/ha"
)

// nodeSigns lets a node with the authority answer a witness: it knows the name and the address, and sees the present certificate.
func (h *home) nodeSigns(name ha.NodeName, address string) {
	authority := Authority{h.root, h.Files.CA}
	h.Signer = members(func(request []byte, now time.Time) ([]byte, error) {
		return authority.Sign(request, name, []string{address}, parse(h.T, []byte(h.read(h.Files.Cert))), now)
	})
}

// A witness gets its new certificate from a node, and its key never leaves it.
func TestARequestIsAnswered(t *testing.T) {
	h := newHome(t, newCA(t), today)
	h.nodeSigns("node1", "10.0.0.7")
	key := h.read(h.Files.Key)
	if f := h.look(today.Add(Lifetime / 2)); f.Renewed {
		t.Fatal("renewed half way")
	}
	now := today.Add(Lifetime - time.Hour)
	if f := h.look(now); !f.Renewed || !h.fits() || f.Problem != "" || !f.Ends.Equal(now.Add(Lifetime)) {
		t.Errorf("%+v, fits %v", f, h.fits())
	}
	if h.read(h.Files.Key) == key {
		t.Error("the key is the old one")
	}
	for _, a := range []string{"node1", "10.0.0.7", "192.168.7.1"} { // what the node knows, and what the present one named
		if err := parse(t, []byte(h.read(h.Files.Cert))).VerifyHostname(a); err != nil {
			t.Error(err)
		}
	}
}

// Who asks does not say what the certificate names: only its key is taken from the request.
func TestARequestNamesNothing(t *testing.T) {
	h := newHome(t, newCA(t), today)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: "node1"}, DNSNames: []string{"node2"},
		IPAddresses: []net.IP{net.IPv4(10, 0, 0, 2)}}, key)
	if err != nil {
		t.Fatal(err)
	}
	certPEM, err := h.ca.Sign(encode(requestBlock, der), "node1", []string{"10.0.0.1"}, today)
	if err != nil {
		t.Fatal(err)
	}
	cert := parse(t, certPEM)
	for _, name := range []string{"node2", "10.0.0.2"} {
		if cert.VerifyHostname(name) == nil {
			t.Errorf("it names %s", name)
		}
	}
	if cert.IsCA {
		t.Error("it is an authority")
	}
}

func TestRequestsAreRefused(t *testing.T) {
	h := newHome(t, newCA(t), today)
	csr, err := h.request()
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
		if _, err := h.ca.Sign(tt.request, tt.name, nil, today); !errors.Is(err, ErrRequest) {
			t.Errorf("%s: %v", tt.what, err)
		}
	}
}

// A node whose clock has died in 1970 signs nothing: the certificate would have ended for everybody else.
func TestADeadClockSignsNothing(t *testing.T) {
	h := newHome(t, newCA(t), today)
	request, err := h.request()
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		now time.Time
		ok  bool
	}{{time.Unix(60, 0), false}, {time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC), false}, {today.Add(-48 * time.Hour), true}, {today, true}} {
		if _, err := h.ca.Sign(request, "node1", nil, tt.now); (err == nil) != tt.ok || err != nil && !strings.Contains(err.Error(), "correct the clock") {
			t.Errorf("at %v: %v", tt.now, err)
		}
	}
}

func TestCertificatesAreRefused(t *testing.T) {
	now := today.Add(Lifetime - time.Hour)
	for what, answer := range map[string]func(h *home, request []byte) ([]byte, error){
		"another authority's": func(h *home, request []byte) ([]byte, error) { return newCA(h.T).Sign(request, "node1", nil, now) },
		"of another key": func(h *home, _ []byte) ([]byte, error) {
			certPEM, _, err := h.ca.Issue("node1", []string{"10.0.0.1"}, now)
			return certPEM, err
		},
		"of another member": func(h *home, _ []byte) ([]byte, error) {
			certPEM, _, err := h.ca.Issue("node2", []string{"10.0.0.1"}, now)
			return certPEM, err
		},
		"no certificate": func(*home, []byte) ([]byte, error) { return []byte("x"), nil },
	} {
		h := newHome(t, newCA(t), today)
		before := h.read(h.Files.Cert)
		h.Signer = members(func(request []byte, _ time.Time) ([]byte, error) { return answer(h, request) })
		if f := h.look(now); f.Renewed || f.Problem == "" {
			t.Errorf("%s: %+v", what, f)
		}
		if h.read(h.Files.Cert) != before || !h.fits() {
			t.Errorf("%s: the certificate in use has changed", what)
		}
	}
}
