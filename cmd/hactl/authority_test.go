package main

import (
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"bascule/ha"
	"bascule/ha/api"
	"bascule/ha/setup/pki"
)

// standsAlone checks that a member trusts one authority and shows a certificate of it.
func (s *site) standsAlone(name ha.NodeName, ca *x509.Certificate) {
	s.Helper()
	trust, err := pki.LoadTrust(s.files(name).CA)
	if err != nil {
		s.Fatal(err)
	}
	cert, err := pki.ParseCertificate([]byte(s.read(string(name) + "/node.pem")))
	if err != nil {
		s.Fatal(err)
	}
	if len(trust) != 1 || !trust[0].Equal(ca) || cert.CheckSignatureFrom(ca) != nil {
		s.Errorf("%s trusts %v and shows a certificate that ends %v", name, trust.Fingerprints(), cert.NotAfter)
	}
}

// understood checks that any two members accept each other's certificates now.
func (s *site) understood(when string) {
	s.Helper()
	for a := range s.fakes {
		cert, err := pki.ParseCertificate([]byte(s.read(string(a) + "/node.pem")))
		if err != nil {
			s.Fatal(err)
		}
		for b := range s.fakes {
			trust, err := pki.LoadTrust(s.files(b).CA)
			if err != nil {
				s.Fatal(err)
			}
			if trust.Signer(cert) == "" {
				s.Errorf("%s: %s does not accept %s", when, b, a)
			}
		}
	}
}

func TestRotateAuthority(t *testing.T) {
	s := newSite(t)
	old := s.authority()
	out, errs, code := s.hactl("keys", "rotate-authority")
	if code != exitOK || !strings.Contains(out, "all 3 members trust the new authority alone") || !strings.Contains(strings.Join(strings.Fields(out), " "), "a new authority") {
		t.Fatalf("%d %s %s", code, out, errs)
	}
	fresh := s.authority()
	if fresh.Equal(old) {
		t.Fatal("the authority is the old one")
	}
	for name := range s.fakes {
		s.standsAlone(name, fresh)
	}
	if _, err := pki.LoadCA(s.path("pve")); err != nil {
		t.Error(err)
	}
	if n := strings.Count(s.read("pve/"+pki.SharedCAKey), "BEGIN PRIVATE KEY"); n != 1 {
		t.Errorf("%d keys are left", n)
	}
	if strings.Contains(out+errs, "PRIVATE KEY") {
		t.Error("a key was printed")
	}
	// Who has a certificate of the old one is refused, at all members.
	certPEM, keyPEM, err := s.ca.Issue("node9", nil, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	s.write("node9/node.pem", string(certPEM))
	s.write("node9/node.key", string(keyPEM))
	for i := range s.fakes {
		c, err := api.NewTLSClient(s.address[i], s.files("node1").CA, s.path("node9/node.pem"), s.path("node9/node.key"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Authority(t.Context()); !errors.Is(err, api.ErrNoAnswer) {
			t.Errorf("a removed node's certificate at %s: %v", i, err)
		}
		c.Close()
	}
	if out, errs, code := s.hactl("keys", "rotate-authority"); code != exitOK || s.authority().Equal(fresh) {
		t.Errorf("a second rotation: %d %s %s", code, out, errs)
	}
}

// Wherever it is interrupted, on whichever member, every two members accept each other, and the same command again ends it.
func TestRotateAuthorityInterrupted(t *testing.T) {
	for _, member := range []ha.NodeName{"node1", "node2", "witness1"} {
		for step := 1; step <= 3; step++ {
			when := fmt.Sprintf("step %d fails on %s", step, member)
			s := newSite(t)
			old := s.authority()
			s.fakes[member].FailAfter(step-1, errors.New("its disk is full"))
			out, errs, code := s.hactl("keys", "rotate-authority")
			if text := strings.Join(strings.Fields(errs), " "); code != exitDegraded || !strings.Contains(text, "its disk is full") || !strings.Contains(text, "run hactl keys rotate-authority again") {
				t.Fatalf("%s: %d %s %s", when, code, out, errs)
			}
			s.understood(when)
			s.fakes[member].FailAfter(0, nil)
			out, errs, code = s.hactl("keys", "rotate-authority")
			if code != exitOK || !strings.Contains(out, "it goes on") {
				t.Fatalf("again after %s: %d %s %s", when, code, out, errs)
			}
			fresh := s.authority()
			if fresh.Equal(old) {
				t.Errorf("%s: it ended with the old authority", when)
			}
			for name := range s.fakes {
				s.standsAlone(name, fresh)
			}
		}
	}
}

// A member that is away holds the rotation up, at its beginning and in the middle; taken out of the site, it does no longer.
func TestRotateAuthorityWaitsForEveryMember(t *testing.T) {
	s := newSite(t)
	s.stop["node2"]()
	before := s.read("pve/" + pki.SharedCA)
	_, errs, code := s.hactl("keys", "rotate-authority")
	if text := strings.Join(strings.Fields(errs), " "); code == exitOK || !strings.Contains(text, "nothing was changed: every member must take part, and node2 does not") || !strings.Contains(text, "hactl remove node2") {
		t.Fatalf("%d %s", code, text)
	}
	if s.read("pve/"+pki.SharedCA) != before {
		t.Error("the authority was touched")
	}

	s = newSite(t)
	s.fakes["node2"].FailAfter(1, errors.New("its disk is full"))
	if _, _, code := s.hactl("keys", "rotate-authority"); code != exitDegraded {
		t.Fatal(code)
	}
	s.fakes["node2"].FailAfter(0, nil)
	s.stop["node2"]()
	_, errs, code = s.hactl("keys", "rotate-authority")
	if text := strings.Join(strings.Fields(errs), " "); code == exitOK || !strings.Contains(text, "the rotation waits, and the old authority stays trusted meanwhile") || !strings.Contains(text, "hactl remove node2") {
		t.Fatalf("%d %s", code, text)
	}
	s.understood("one member is away")
	text := s.read("basculed.yaml")
	begin, end := strings.Index(text, "{name: node2"), strings.Index(text, "{name: witness1")
	s.write("basculed.yaml", text[:begin]+text[end:])
	if out, errs, code := s.hactl("keys", "rotate-authority"); code != exitOK || !strings.Contains(out, "all 2 members") ||
		!strings.Contains(strings.Join(strings.Fields(out), " "), "run it once more") {
		t.Fatalf("without node2: %d %s %s", code, out, errs)
	}
	for _, name := range []ha.NodeName{"node1", "witness1"} {
		s.standsAlone(name, s.authority())
	}
	trust, err := pki.LoadTrust(s.files("node1").CA)
	if err != nil {
		t.Fatal(err)
	}
	if cert, err := pki.ParseCertificate([]byte(s.read("node2/node.pem"))); err != nil || trust.Signer(cert) != "" {
		t.Errorf("node2 is still accepted (%v)", err)
	}
}

// A node that has joined since this one's configuration was written would be left out.
func TestRotationsKnowTheSitesMembers(t *testing.T) {
	s := newSite(t)
	member := func(name ha.NodeName, more string) string {
		host, _, _ := strings.Cut(s.address[name], ":")
		return fmt.Sprintf("{name: %s, address: %s%s}", name, host, more)
	}
	members := member("node1", "") + ", " + member("node2", "") + ", " + member("witness1", ", witness: true")
	s.write("pve/bascule/basculed.yaml", "cluster: lan\nmembers: ["+members+", {name: node4, address: 127.94.0.4}]\n")
	before := s.read("pve/" + pki.SharedCA)
	for _, command := range []string{"rotate-authority", "rotate-gossip"} {
		_, errs, code := s.hactl("keys", command)
		if text := strings.Join(strings.Fields(errs), " "); code == exitOK || !strings.Contains(text, "node4") || !strings.Contains(text, "hactl join --update") || !strings.Contains(text, command) {
			t.Fatalf("%s: %d %s", command, code, text)
		}
	}
	if s.read("pve/"+pki.SharedCA) != before || len(s.fakes["node1"].GossipHistory()) != 1 {
		t.Error("something was changed")
	}
	s.write("pve/bascule/basculed.yaml", "cluster: lan\nmembers: ["+members+"]\n")
	if out, errs, code := s.hactl("keys", "rotate-authority"); code != exitOK {
		t.Fatalf("%d %s %s", code, out, errs)
	}
	if left, _ := os.ReadDir(s.path("pve/priv/lock")); len(left) > 0 {
		t.Errorf("the site stays locked: %v", left)
	}
}

func TestRotateAuthorityRefuses(t *testing.T) {
	s := newSite(t)
	other, err := pki.NewCA("lan", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	s.write("node2/ca.pem", string(s.ca.CertPEM())+string(other.CertPEM()))
	_, errs, code := s.hactl("keys", "rotate-authority")
	if text := strings.Join(strings.Fields(errs), " "); code == exitOK || !strings.Contains(text, "nothing was changed: node2 trusts the authorities") {
		t.Errorf("a member that trusts another one: %d %s", code, text)
	}
	s = newSite(t)
	if err := os.Remove(s.path("pve", pki.SharedCAKey)); err != nil {
		t.Fatal(err)
	}
	if _, errs, code := s.hactl("keys", "rotate-authority"); code == exitOK || !strings.Contains(strings.Join(strings.Fields(errs), " "), "nothing was changed: run this as root on a Proxmox node") {
		t.Errorf("without the authority's key: %d %s", code, errs)
	}
}

// A member whose store would not stand a restart just now is asked again.
func TestRotateAuthorityIsPatient(t *testing.T) {
	s := newSite(t)
	s.fakes["node2"].BusyOnce()
	if out, errs, code := s.hactl("keys", "rotate-authority"); code != exitOK {
		t.Fatalf("%d %s %s", code, out, errs)
	}
}

// What a member lacks keeps the next step from beginning.
func TestReached(t *testing.T) {
	a, err := pki.NewCA("lan", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	b, err := pki.NewCA("lan", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	trust, err := pki.ParseTrust(slices.Concat(b.CertPEM(), a.CertPEM()))
	if err != nil {
		t.Fatal(err)
	}
	r := &handover{site: pki.Shared{Trust: trust}}
	both := trust.Fingerprints()
	for _, tt := range []struct {
		what  string
		got   api.Authority
		stage pki.Stage
		ok    bool
	}{
		{"all of it", api.Authority{Trusted: both, Store: both, Signed: both[0]}, pki.Using, true},
		{"its store in another order", api.Authority{Trusted: both, Store: []string{both[1], both[0]}, Signed: both[0]}, pki.Using, true},
		{"no store", api.Authority{Trusted: both, Signed: both[0]}, pki.Using, true},
		{"its store behind", api.Authority{Trusted: both, Store: both[1:], Signed: both[0]}, pki.Using, false},
		{"its trust behind", api.Authority{Trusted: both[1:], Store: both, Signed: both[0]}, pki.Using, false},
		{"its certificate behind", api.Authority{Trusted: both, Store: both, Signed: both[1]}, pki.Using, false},
		{"its certificate behind, where that is no matter yet", api.Authority{Trusted: both, Store: both, Signed: both[1]}, pki.Trusting, true},
	} {
		if err := r.reached(tt.got, tt.stage); (err == nil) != tt.ok {
			t.Errorf("%s: %v", tt.what, err)
		}
	}
}
