package redfish_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"math/big"
	"strings"
	"testing"
	"time"

	"bascule/fencing/fencingtest"
	"bascule/fencing/redfish"
)

func TestSettingsSayWhatToWrite(t *testing.T) {
	good := map[string]string{"url": "https://10.0.9.2", "user": "u", "password_file": "/x", "insecure": "true"}
	fencingtest.TrySettings(t, redfish.Method, good, []fencingtest.Setting{
		{"url", "https://bmc2:8443/", ""},
		{"url", "https://bmc2/redfish/v1/", ""},
		{"url", "http://bmc2", "write https://bmc2"},
		{"url", "bmc2", "write https://HOST"},
		{"url", "https://root:" + fencingtest.Hunter2 + "@bmc2", "password_file"},
		{"url", "https://bmc2/redfish/v1/Systems/1", "system"},
		{"insecure", "yes", `write "true"`},
		{"fingerprint", "", "empty"},
		{"fingerprint", strings.Repeat("a", 64), "exactly one"},
		{"auth", "digest", "write basic or session"},
		{"auth", "session", ""},
		{"uuid", "00000000-0000-0000-0000-000000000000", "product_uuid"},
		{"uuid", "4C4C4544-0051-3410-8052-B4C04F564232", ""},
		{"password", fencingtest.Hunter2, `"password" is unknown`},
	})
	delete(good, "insecure")
	if _, err := redfish.Method.Power(good); err == nil || !strings.Contains(err.Error(), "exactly one") {
		t.Errorf("no way to know the controller: %v", err)
	}
	good["fingerprint"] = "sha256:" + strings.Repeat("0F:", 31) + "0f" // as openssl writes it
	fencingtest.TrySettings(t, redfish.Method, good, nil)
}

func TestThePasswordFile(t *testing.T) {
	b := newBMC(t, plain)
	fencingtest.TrySecretFiles(t, password, func(file string) error {
		s := b.settings()
		s["password_file"] = file
		_, err := open(t, s).Read(timeLimit(t))
		return err
	})
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
	return fencingtest.CAFile(t, der)
}
