package pki

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
)

// both is a member's trust while its authority is replaced; the first signs.
func both(t *testing.T, first, second *CA) Trust {
	t.Helper()
	trust, err := ParseTrust(append(first.CertPEM(), second.CertPEM()...))
	if err != nil {
		t.Fatal(err)
	}
	return trust
}

func TestParseTrust(t *testing.T) {
	a, b := newCA(t), newCA(t)
	trust := both(t, a, b)
	if len(trust) != 2 || !trust[0].Equal(a.cert) || trust.Fingerprints()[0] == trust.Fingerprints()[1] {
		t.Fatalf("%v", trust.Fingerprints())
	}
	again, err := ParseTrust(append(trust.PEM(), a.CertPEM()...))
	if err != nil || !slices.Equal(again.Fingerprints(), trust.Fingerprints()) {
		t.Errorf("written, with one twice, and read: %v %v", again.Fingerprints(), err)
	}
	certPEM, _ := issue(t, b, "node1", today, "10.0.0.1")
	if trust.Signer(parse(t, certPEM)) != trust.Fingerprints()[1] || !trust.outdated(parse(t, certPEM)) || both(t, b, a).outdated(parse(t, certPEM)) {
		t.Error("who has signed is not seen")
	}
	foreign, _ := issue(t, newCA(t), "node1", today, "10.0.0.1")
	if trust.Signer(parse(t, foreign)) != "" || trust.outdated(parse(t, foreign)) {
		t.Error("a stranger's certificate was judged")
	}
	for _, text := range []string{"", "x", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"} {
		if _, err := ParseTrust([]byte(text)); !errors.Is(err, ErrCA) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// A rotation as one member sees it: it trusts both and keeps its certificate; the new authority comes first, and the next look takes its
// certificate from there, though it is not due; then the old one goes. The keys' file holds both keys meanwhile.
func TestKeeperFollowsTheAuthority(t *testing.T) {
	old := newCA(t)
	h := newHome(t, old, today)
	fresh := newCA(t)
	share := func(certs Trust, keys ...*CA) {
		t.Helper()
		text := []byte{}
		for _, ca := range keys {
			key, err := ca.KeyPEM()
			if err != nil {
				t.Fatal(err)
			}
			text = append(text, key...)
		}
		h.write(h.root+"/"+SharedCAKey, text)
		h.write(h.root+"/"+SharedCA, certs.PEM())
		h.write(h.Files.CA, certs.PEM())
	}
	before := h.read(h.Files.Cert)
	share(both(t, old, fresh), old, fresh)
	if f := h.look(today); f.Renewed || f.Problem != "" || !strings.Contains(f.Authority, "rotate-authority") || h.read(h.Files.Cert) != before {
		t.Fatalf("trusting both: %+v", f)
	}
	share(both(t, fresh, old), old, fresh)
	f := h.look(today)
	trust, err := LoadTrust(h.Files.CA)
	if err != nil {
		t.Fatal(err)
	}
	if !f.Renewed || f.Problem != "" || trust.Signer(parse(t, []byte(h.read(h.Files.Cert)))) != fingerprint(fresh.cert) || !h.fits() {
		t.Fatalf("the new one first: %+v", f)
	}
	if f := h.look(today.Add(Every)); f.Renewed {
		t.Error("renewed twice")
	}
	share(trust[:1], fresh)
	if f := h.look(today.Add(2 * Every)); f.Renewed || f.Problem != "" || f.Authority != "" {
		t.Errorf("the old one gone: %+v", f)
	}
}

// While nobody can sign with the new authority the old certificate stays in use, and that is told.
func TestKeeperWaitsForTheNewAuthority(t *testing.T) {
	old := newCA(t)
	h := newHome(t, old, today)
	before := h.read(h.Files.Cert)
	h.write(h.Files.CA, both(t, newCA(t), old).PEM()) // /etc/pve here does not know of it yet
	f := h.look(today)
	trust, err := LoadTrust(h.Files.CA)
	if err != nil {
		t.Fatal(err)
	}
	if by := trust.Signer(parse(t, []byte(h.read(h.Files.Cert)))); by != trust.Fingerprints()[1] || !h.fits() || f.Renewed || h.read(h.Files.Cert) != before ||
		f.Authority == "" || !strings.Contains(f.Problem, "does not see the new one yet") {
		t.Errorf("%+v, signed by %s", f, by)
	}
}

// The end of the authority is told a year ahead, and certificates that would only end with it are not renewed every hour.
func TestTheAuthoritysEnd(t *testing.T) {
	ca := newCA(t)
	h := newHome(t, ca, today)
	end := today.Add(CALifetime)
	for _, tt := range []struct {
		left    time.Duration
		renewed bool
		tells   string
	}{
		{3 * Lifetime, true, ""},
		{AuthorityWarning + 24*time.Hour, true, ""}, // the first one that ends with the authority
		{AuthorityWarning - time.Hour, false, "authority ends in 364 days"},
		{AuthorityWarning / 3, false, "authority ends in 121 days"},
		{time.Hour, false, "hactl keys rotate-authority"},
	} {
		f := h.look(end.Add(-tt.left))
		if f.Renewed != tt.renewed || f.Problem != "" || (f.Authority == "") != (tt.tells == "") || !strings.Contains(f.Authority, tt.tells) {
			t.Errorf("%v before: %+v", tt.left, f)
		}
	}
	if f := h.look(end.Add(48 * time.Hour)); f.Renewed || !strings.Contains(f.Problem, "authority ended") {
		t.Errorf("after it: %+v", f)
	}
}
