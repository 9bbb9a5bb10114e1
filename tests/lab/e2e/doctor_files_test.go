//go:build e2e

package e2e

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"bascule/tests/lab"
)

// otherVersion builds a basculed that says that it is another version.
func otherVersion(t *testing.T, dir string) string {
	t.Helper()
	program := filepath.Join(dir, "basculed-other")
	ctx, cancel := context.WithTimeout(context.Background(), testLimit)
	defer cancel()
	if out, err := exec.CommandContext(ctx, "go", "build", "-tags", "lab", "-ldflags", "-X main.version=0.0.1-other", "-o", program, "bascule/cmd/basculed").CombinedOutput(); err != nil {
		t.Fatalf("a basculed of another version cannot be built: %v\n%s", err, out)
	}
	return program
}

// replaceable are the nodes' programs, of which basculed is what the file `program` in the node's directory names, where there is one.
func replaceable() []lab.Program {
	program, err := filepath.Abs(filepath.Join(bin(), "basculed"))
	if err != nil {
		program = filepath.Join(bin(), "basculed")
	}
	return []lab.Program{
		{Role: "guard", Argv: []string{program, "guard", "--config", "{config}"}},
		{Role: "basculed", Argv: []string{"/bin/sh", "-c", `exec "$(cat "$` + lab.MarkVariable + `/program" 2>/dev/null || echo "$0")" --config "$1"`, program, "{config}"}},
	}
}

// version starts a node's basculed as another version.
func (b *bed) version(node, program string) fault {
	file := b.Node(node, "program")
	restart := func() error { return b.Signal(b.ctx, node, "basculed", "KILL") }
	return fault{node + " runs another version", func() error { return errors.Join(os.WriteFile(file, []byte(program), 0o600), restart()) },
		[]string{"info guard-version node " + node, "info version-mix cluster"}, func() error { return errors.Join(os.Remove(file), restart()) }}
}

// authority adds an authority that ends then to those that a node trusts; two at once are what a rotation leaves that was not finished.
func (b *bed) authority(node, what string, ends time.Duration, want string) fault {
	file := b.Node(node, "tls", "ca.pem")
	was, err := os.ReadFile(file)
	b.must(err)
	certificate, _ := shortLived(b.t, "old", ends)
	return fault{fmt.Sprintf("an authority of %s %s", node, what), func() error { return os.WriteFile(file, append(slices.Clone(was), certificate...), 0o600) },
		[]string{want + " authority certificate of " + node, "warning authority-rotation authorities that " + node + " trusts"}, func() error { return os.WriteFile(file, was, 0o600) }}
}

// shortLived makes a certificate that is a year old and ends then, with its key.
func shortLived(t *testing.T, name string, ends time.Duration) (certificate, key []byte) {
	t.Helper()
	secret, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-360 * 24 * time.Hour), NotAfter: time.Now().Add(ends), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &secret.PublicKey, secret)
	if err != nil {
		t.Fatal(err)
	}
	text, err := x509.MarshalECPrivateKey(secret)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: text})
}

// noDropIn gives a node Proxmox's unit without the drop-in that keeps it from starting protected guests.
func (b *bed) noDropIn(node string) fault {
	dir := b.Node(node, "root", "usr", "lib", "systemd", "system")
	return fault{"pve-guests.service of " + node + " has no drop-in", func() error {
		return errors.Join(os.MkdirAll(dir, 0o755), os.WriteFile(filepath.Join(dir, "pve-guests.service"), []byte("[Unit]\n"), 0o644))
	}, []string{"warning boot-check-missing node " + node}, func() error {
		drop := filepath.Join(dir, "pve-guests.service.d")
		text, err := os.ReadFile("../../../systemd/pve-guests.service.d/bascule.conf")
		return errors.Join(err, os.MkdirAll(drop, 0o755), os.WriteFile(filepath.Join(drop, "bascule.conf"), text, 0o644))
	}}
}
