package redfish_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bascule/fencing"
	"bascule/fencing/redfish"
)

func TestSettingsSayWhatToWrite(t *testing.T) {
	good := func() map[string]string {
		return map[string]string{"url": "https://10.0.9.2", "user": "u", "password_file": "/x", "insecure": "true"}
	}
	if _, err := redfish.Method.Power(good()); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		key, value string
		want       string // part of the error; empty: accepted
	}{
		{"url", "https://bmc2:8443/", ""},
		{"url", "https://bmc2/redfish/v1/", ""},
		{"url", "http://bmc2", "write https://bmc2"},
		{"url", "bmc2", "write https://HOST"},
		{"url", "https://root:hunter2@bmc2", "password_file"},
		{"url", "https://bmc2/redfish/v1/Systems/1", "system"},
		{"insecure", "yes", `write "true"`},
		{"fingerprint", "", "empty"},
		{"fingerprint", strings.Repeat("a", 64), "exactly one"},
		{"auth", "digest", "write basic or session"},
		{"auth", "session", ""},
		{"uuid", "00000000-0000-0000-0000-000000000000", "product_uuid"},
		{"uuid", "4C4C4544-0051-3410-8052-B4C04F564232", ""},
		{"password", "hunter2", `"password" is unknown`},
	} {
		s := good()
		s[c.key] = c.value
		_, err := redfish.Method.Power(s)
		if c.want == "" && err != nil || c.want != "" && (!errors.Is(err, fencing.ErrSettings) || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %q: %v, want %q", c.key, c.value, err, c.want)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: a secret shows: %v", c.key, err)
		}
	}
	s := good()
	delete(s, "insecure")
	if _, err := redfish.Method.Power(s); err == nil || !strings.Contains(err.Error(), "exactly one") {
		t.Errorf("no way to know the controller: %v", err)
	}
	s["fingerprint"] = "sha256:" + strings.Repeat("0F:", 31) + "0f"
	if _, err := redfish.Method.Power(s); err != nil {
		t.Errorf("a fingerprint as openssl writes it: %v", err)
	}
}

func TestThePasswordFile(t *testing.T) {
	b := newBMC(t, plain)
	for _, c := range []struct {
		name, content string
		mode          os.FileMode
		want          string // part of the error; empty: works
	}{
		{"as it should be", password, 0o600, ""},
		{"with a line end", password + "\r\n", 0o400, ""},
		{"readable by the group", password, 0o640, "chmod 0600"},
		{"readable by all", password, 0o644, "chmod 0600"},
		{"empty", "\n", 0o600, "on one line"},
		{"two lines", password + "\nmore\n", 0o600, "on one line"},
	} {
		s := b.settings()
		s["password_file"] = filepath.Join(t.TempDir(), "pw")
		if err := os.WriteFile(s["password_file"], []byte(c.content), c.mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(s["password_file"], c.mode); err != nil {
			t.Fatal(err)
		}
		_, err := open(t, s).Read(timeLimit(t))
		if c.want == "" && err != nil || c.want != "" && (!errors.Is(err, fencing.ErrSettings) || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
	s := b.settings()
	s["password_file"] = t.TempDir()
	if _, err := open(t, s).Read(timeLimit(t)); !errors.Is(err, fencing.ErrSettings) {
		t.Errorf("a directory: %v", err)
	}
	s["password_file"] = "/nonexistent/pw"
	d := open(t, s) // a missing file does not keep the daemon from starting
	if _, err := d.Read(timeLimit(t)); !errors.Is(err, fencing.ErrSettings) {
		t.Errorf("missing: %v", err)
	}
}

// otherAuthority writes a certificate that signed nothing.
func otherAuthority(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}
