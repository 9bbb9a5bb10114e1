package pki

import (
	"context"
	"crypto/tls"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// home is a member's machine: its own files, and Proxmox's tree with the authority.
type home struct {
	*testing.T
	ca   *CA
	root string
	*Keeper
}

// members stand for the nodes that a witness asks: they sign, or do not.
type members func(request []byte, now time.Time) ([]byte, error)

func (m members) Sign(_ context.Context, request, _ []byte, now time.Time) ([]byte, error) {
	return m(request, now)
}

// look looks at a moment.
func (h *home) look(now time.Time) Found { return h.Look(h.Context(), now) }

func newHome(t *testing.T, ca *CA, issued time.Time) *home {
	t.Helper()
	dir := t.TempDir()
	h := &home{T: t, ca: ca, root: filepath.Join(dir, "pve"), Keeper: &Keeper{Name: "node1",
		Files: Files{CA: filepath.Join(dir, "ca.pem"), Cert: filepath.Join(dir, "node.pem"), Key: filepath.Join(dir, "node.key")}}}
	h.Signer = Own{Authority{h.root, h.Files.CA}, "node1", []string{"10.0.0.1"}}
	certPEM, keyPEM := issue(t, ca, "node1", issued, "10.0.0.1", "192.168.7.1")
	h.write(h.Files.CA, ca.CertPEM())
	h.write(h.Files.Cert, certPEM)
	h.write(h.Files.Key, keyPEM)
	h.share(ca)
	return h
}

func (h *home) write(path string, data []byte) {
	h.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, data, 0o600)); err != nil {
		h.Fatal(err)
	}
}

func (h *home) share(ca *CA) {
	h.Helper()
	keyPEM, err := ca.KeyPEM()
	if err != nil {
		h.Fatal(err)
	}
	h.write(filepath.Join(h.root, SharedCA), ca.CertPEM())
	h.write(filepath.Join(h.root, SharedCAKey), keyPEM)
}

func (h *home) read(path string) string {
	h.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		h.Fatal(err)
	}
	return string(b)
}

// fits says whether certificate and key belong together.
func (h *home) fits() bool {
	_, err := tls.LoadX509KeyPair(h.Files.Cert, h.Files.Key)
	return err == nil
}

func TestKeeperRenews(t *testing.T) {
	h := newHome(t, newCA(t), today)
	cert, key := h.read(h.Files.Cert), h.read(h.Files.Key)
	if f := h.look(today.Add(Lifetime / 2)); f.Renewed || f.Problem != "" || h.read(h.Files.Cert) != cert {
		t.Fatalf("half way: %+v", f)
	}
	now := today.Add(Lifetime * 2 / 3)
	f := h.look(now)
	if !f.Renewed || f.Problem != "" || !f.Ends.Equal(now.Add(Lifetime)) {
		t.Fatalf("a third left: %+v", f)
	}
	if h.read(h.Files.Cert) == cert || h.read(h.Files.Key) == key || !h.fits() {
		t.Error("certificate and key are not both new")
	}
	if info, err := os.Stat(h.Files.Key); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key's mode: %v %v", info.Mode(), err)
	}
	if err := parse(t, []byte(h.read(h.Files.Cert))).VerifyHostname("192.168.7.1"); err != nil {
		t.Errorf("an address of the old certificate is lost: %v", err)
	}
	if f := h.look(now.Add(Every)); f.Renewed {
		t.Error("renewed twice")
	}
}

// A cold start: the certificate has ended, or the clock is ten years ahead or in 1970. None of it keeps the member from coming up.
func TestKeeperAtAColdStart(t *testing.T) {
	for _, tt := range []struct {
		what    string
		now     time.Time
		renewed bool
	}{
		{"away for three years", today.Add(3 * 365 * 24 * time.Hour), true},
		{"a clock of 2036", time.Date(2036, 2, 7, 6, 28, 16, 0, time.UTC), true},
		{"a clock of 1970", time.Unix(60, 0), false},
	} {
		h := newHome(t, newCA(t), today)
		if f := h.look(tt.now); f.Renewed != tt.renewed || f.Problem != "" || !f.Ends.After(tt.now) || !h.fits() {
			t.Errorf("%s: %+v", tt.what, f)
		}
	}
}

func TestKeeperWithoutAuthority(t *testing.T) {
	late := today.Add(Lifetime - 100*24*time.Hour)
	refused := func(h *home) {
		h.Signer, h.Remedy = members(func([]byte, time.Time) ([]byte, error) { return nil, errors.New("no node answers") }), "do it by hand"
	}
	unmounted := func(h *home) { _ = os.RemoveAll(h.root) }
	for _, tt := range []struct {
		what string
		make func(*home)
		now  time.Time
		want []string
	}{
		{"a witness whom nobody answers", refused, late, []string{"ends in 100 days", "no node answers"}},
		{"no /etc/pve", unmounted, late, []string{"ends in 100 days", "is", "mounted"}},
		{"a witness too late", refused, today.Add(Lifetime + 48*time.Hour), []string{"has ended 2 days ago", "is the clock right?", "do it by hand"}},
		{"another cluster's authority", func(h *home) { h.share(newCA(h.T)) }, late, []string{"ends in 100 days", "that the members trust"}},
		{"a damaged authority", func(h *home) { h.write(filepath.Join(h.root, SharedCAKey), []byte("x")) }, late, []string{"no private key"}},
		{"no certificate", func(h *home) { _ = os.Remove(h.Files.Cert) }, today, []string{"cannot be read"}},
		{"a witness with a damaged certificate", func(h *home) { refused(h); h.write(h.Files.Cert, []byte("x")) }, today, []string{"cannot be used"}},
	} {
		h := newHome(t, newCA(t), today)
		tt.make(h)
		before, _ := os.ReadFile(h.Files.Cert)
		f := h.look(tt.now)
		for _, w := range tt.want {
			if !strings.Contains(f.Problem, w) {
				t.Errorf("%s: %q does not say %q", tt.what, f.Problem, w)
			}
		}
		if after, _ := os.ReadFile(h.Files.Cert); f.Renewed || string(after) != string(before) {
			t.Errorf("%s: the certificate was exchanged", tt.what)
		}
	}
}

// A damaged pair is made anew where the authority is.
func TestKeeperRepairs(t *testing.T) {
	h := newHome(t, newCA(t), today)
	h.write(h.Files.Cert, []byte("x"))
	if f := h.look(today); !f.Renewed || !h.fits() {
		t.Errorf("%+v", f)
	}
}

// A crash at any point of the exchange leaves a pair that fits, after Mend.
func TestMendFinishesTheExchange(t *testing.T) {
	ca := newCA(t)
	certPEM, keyPEM := issue(t, ca, "node1", today, "10.0.0.1")
	for _, tt := range []struct {
		what  string
		crash func(*home)
		isNew bool
	}{
		{"before the certificate", func(h *home) { h.write(h.Files.nextKey(), keyPEM) }, false},
		{"between certificate and key", func(h *home) { h.write(h.Files.nextKey(), keyPEM); h.write(h.Files.Cert, certPEM) }, true},
	} {
		h := newHome(t, ca, today)
		tt.crash(h)
		if err := h.Files.Mend(); err != nil {
			t.Fatal(err)
		}
		if isNew := h.read(h.Files.Cert) == string(certPEM); !h.fits() || isNew != tt.isNew {
			t.Errorf("%s: fits %v, new %v", tt.what, h.fits(), isNew)
		}
	}
}

func TestInstallRefuses(t *testing.T) {
	h := newHome(t, newCA(t), today)
	certPEM, _ := issue(t, h.ca, "node1", today, "10.0.0.1")
	if err := h.Files.Install(certPEM); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without a prepared key: %v", err)
	}
	_, other := issue(t, h.ca, "node1", today, "10.0.0.1")
	if err := h.Files.Prepare(other); err != nil {
		t.Fatal(err)
	}
	if err := h.Files.Install(certPEM); err == nil || !h.fits() {
		t.Errorf("a certificate of another key was installed: %v", err)
	}
	if err := h.Files.Write(certPEM, other); err == nil || !h.fits() {
		t.Errorf("a pair that does not fit was written: %v", err)
	}
}

// Five years of a daemon that never restarts: the certificate is renewed each time that a third of its life is left, and never ends.
func TestKeeperForFiveYears(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca, err := NewCA("lan", time.Now())
		if err != nil {
			t.Fatal(err)
		}
		h := newHome(t, ca, time.Now())
		ctx, cancel := context.WithTimeout(t.Context(), 5*365*24*time.Hour)
		defer cancel()
		renewed, looks := 0, 0
		h.Keeper.Run(ctx, time.Now, func(f Found) {
			looks++
			if f.Renewed {
				renewed++
			}
			if f.Problem != "" || !f.Ends.After(time.Now()) {
				t.Fatalf("at %v: %+v", time.Now(), f)
			}
		})
		if renewed != 3 || looks != 5*365*24 && looks != 5*365*24+1 {
			t.Errorf("renewed %d times in %d looks, want 3", renewed, looks)
		}
	})
}
