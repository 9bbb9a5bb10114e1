package pki

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// site is Proxmox's tree with an authority.
func site(t *testing.T, ca *CA) (root string, s Shared) {
	t.Helper()
	h := newHome(t, ca, today)
	s, err := LoadShared(h.root)
	if err != nil {
		t.Fatal(err)
	}
	return h.root, s
}

// A rotation in the files: after each step whoever reads them knows how far it has come and goes on to the same end, and whoever signs has the
// key of the first certificate.
func TestSharedRotation(t *testing.T) {
	root, s := site(t, newCA(t))
	old := s.Trust[0]
	s, err := s.Begin("lan", today.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	fresh := s.Trust[1]
	for _, want := range []Stage{Trusting, Using, Dropping, Settled} {
		if want != Trusting {
			s = s.At(want)
		}
		if err := s.Write(root); err != nil {
			t.Fatal(err)
		}
		if s, err = LoadShared(root); err != nil {
			t.Fatalf("at %d: %v", want, err)
		}
		got, err := s.Stage()
		if err != nil || got != want {
			t.Errorf("at %d: %d, %v", want, got, err)
		}
		signer, err := LoadCA(root)
		if err != nil || signer.cert.Equal(old) != (want == Trusting) || signer.cert.Equal(fresh) != (want != Trusting) {
			t.Errorf("at %d another one signs, %v", want, err)
		}
		for _, stage := range []Stage{Using, Dropping, Settled} { // wherever one goes on
			if !s.At(stage).Trust[0].Equal(fresh) {
				t.Errorf("at %d: on the way to %d the other one is the new one", want, stage)
			}
		}
	}
	if text, err := os.ReadFile(filepath.Join(root, SharedCAKey)); err != nil || strings.Count(string(text), "BEGIN PRIVATE KEY") != 1 {
		t.Errorf("the old key is still there (%v)", err)
	}
	if left, _ := filepath.Glob(filepath.Join(root, "*", "*.new")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// A crash between the two files: a key whose certificate was never written is nobody's, and a rotation begins anew.
func TestSharedRotationBrokenOff(t *testing.T) {
	root, s := site(t, newCA(t))
	next, err := s.Begin("lan", today)
	if err != nil {
		t.Fatal(err)
	}
	if err := (Shared{s.Trust, next.keys}).Write(root); err != nil {
		t.Fatal(err)
	}
	again, err := LoadShared(root)
	if err != nil {
		t.Fatal(err)
	}
	if stage, err := again.Stage(); err != nil || stage != Settled {
		t.Fatalf("%d, %v", stage, err)
	}
	if ca, err := LoadCA(root); err != nil || !ca.cert.Equal(s.Trust[0]) {
		t.Errorf("the authority does not sign: %v", err)
	}
	begun, err := again.Begin("lan", today)
	if err != nil || len(begun.keys) != 2 {
		t.Fatalf("%d keys, %v", len(begun.keys), err)
	}
	if stage, err := begun.Stage(); err != nil || stage != Trusting {
		t.Errorf("%d, %v", stage, err)
	}
}

func TestSharedRefuses(t *testing.T) {
	a, b, c := newCA(t), newCA(t), newCA(t)
	root, s := site(t, a)
	if _, err := s.Begin("lan", time.Unix(60, 0)); err == nil || !strings.Contains(err.Error(), "correct the clock") {
		t.Errorf("a clock of 1970: %v", err)
	}
	for what, wrong := range map[string]Shared{
		"another's key":            {Trust{b.cert}, s.keys},
		"a certificate too many":   {Trust{a.cert, b.cert}, s.keys},
		"three of them":            {Trust{a.cert, b.cert, c.cert}, append(s.keys[:1:1], b.key, c.key)},
		"a key of neither of both": {Trust{a.cert, b.cert}, append(s.keys[:1:1], c.key)},
	} {
		if err := wrong.Write(root); err != nil {
			t.Fatal(err)
		}
		if _, err := LoadShared(root); !errors.Is(err, ErrCA) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestSetTrust(t *testing.T) {
	old, fresh := newCA(t), newCA(t)
	h := newHome(t, old, today)
	member, _ := issue(t, old, "node2", today, "10.0.0.2")
	for _, tt := range []struct {
		what string
		pem  []byte
		want string // of the refusal
	}{
		{"nothing", nil, "no certificate"},
		{"a member's certificate", append(old.CertPEM(), member...), "may sign nothing"},
		{"strangers", fresh.CertPEM(), "trusts none of them now"},
		{"both", append(old.CertPEM(), fresh.CertPEM()...), ""},
		{"the new one alone, too early", fresh.CertPEM(), "cut itself off"},
		{"the new one first", append(fresh.CertPEM(), old.CertPEM()...), ""},
		{"back", old.CertPEM(), ""},
	} {
		before := h.read(h.Files.CA)
		err := h.SetTrust(tt.pem)
		if (err == nil) != (tt.want == "") || err != nil && (!errors.Is(err, ErrCA) || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: %v, want %q", tt.what, err, tt.want)
		}
		if want := map[bool]string{true: string(tt.pem), false: before}[tt.want == ""]; h.read(h.Files.CA) != want {
			t.Errorf("%s: the file is wrong", tt.what)
		}
	}
	s, err := h.Standing()
	if err != nil || len(s.Trusted) != 1 || s.Signed != s.Trusted[0] || !s.Ends.Equal(today.Add(Lifetime)) {
		t.Errorf("%+v, %v", s, err)
	}
}
