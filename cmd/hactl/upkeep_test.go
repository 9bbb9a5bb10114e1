package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"bascule/ha"
	"bascule/ha/api"
	"bascule/ha/api/apitest"
	"bascule/ha/setup/backup"
	"bascule/ha/setup/pki"
)

// siteNets gives every test loopback addresses of its own.
var siteNets atomic.Int32

// site is a cluster of daemons (fakes) with certificates and configuration, as hactl on node1 finds it. The third member is a witness.
type site struct {
	*testing.T
	dir   string
	ca    *pki.CA
	fakes map[ha.NodeName]*apitest.Fake
	stop  map[ha.NodeName]func()

	address map[ha.NodeName]string // host:port of its API
	keys    string                 // of gossip, at the beginning
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{T: t, dir: t.TempDir(), fakes: map[ha.NodeName]*apitest.Fake{}, stop: map[ha.NodeName]func(){}, address: map[ha.NodeName]string{}, keys: pki.NewGossipKey()}
	var err error
	if s.ca, err = pki.NewCA("lan", time.Now()); err != nil {
		t.Fatal(err)
	}
	caKey, err := s.ca.KeyPEM()
	if err != nil {
		t.Fatal(err)
	}
	s.write("pve/"+pki.SharedCA, string(s.ca.CertPEM()))
	s.write("pve/"+pki.SharedCAKey, string(caKey))
	s.write("pve/"+pki.SharedGossip, s.keys+"\n")
	s.write("pve/root.pem", "x")
	s.write("gossip.keys", s.keys+"\n")
	s.write("token", "x")
	s.write("data/x", "")
	subnet := siteNets.Add(1)
	port := 0
	var members []string
	for i, name := range []ha.NodeName{"node1", "node2", "witness1"} {
		host := fmt.Sprintf("127.94.%d.%d", subnet, i+1)
		s.issue(name, time.Now(), host)
		port = s.serve(name, host, port)
		members = append(members, fmt.Sprintf("{name: %s, address: %s, witness: %v}", name, host, i == 2))
	}
	s.write("basculed.yaml", fmt.Sprintf(`cluster: lan
node: node1
data_dir: %[1]s/data
run_dir: %[1]s/run
members: [%[2]s]
tls: {ca_file: %[1]s/node1/ca.pem, cert_file: %[1]s/node1/node.pem, key_file: %[1]s/node1/node.key}
gossip: {keyring_file: %[1]s/gossip.keys}
api: {port: %[3]d}
proxmox: {root: %[1]s/pve, ca_file: %[1]s/pve/root.pem, token_file: %[1]s/token}
`, s.dir, strings.Join(members, ", "), port))
	return s
}

func (s *site) path(rel ...string) string { return filepath.Join(append([]string{s.dir}, rel...)...) }

func (s *site) write(rel, text string) {
	s.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(s.path(rel)), 0o700), os.WriteFile(s.path(rel), []byte(text), 0o600)); err != nil {
		s.Fatal(err)
	}
}

func (s *site) read(rel string) string {
	s.Helper()
	b, err := os.ReadFile(s.path(rel))
	if err != nil {
		s.Fatal(err)
	}
	return string(b)
}

func (s *site) files(name ha.NodeName) pki.Files {
	return pki.Files{CA: s.path(string(name), "ca.pem"), Cert: s.path(string(name), "node.pem"), Key: s.path(string(name), "node.key")}
}

func (s *site) issue(name ha.NodeName, at time.Time, host string) {
	s.Helper()
	certPEM, keyPEM, err := s.ca.Issue(name, []string{host}, at)
	if err != nil {
		s.Fatal(err)
	}
	s.write(string(name)+"/ca.pem", string(s.ca.CertPEM()))
	if err := s.files(name).Write(certPEM, keyPEM); err != nil {
		s.Fatal(err)
	}
}

// serve answers for a member; all have the same port.
func (s *site) serve(name ha.NodeName, host string, port int) int {
	s.Helper()
	f := apitest.NewFake(apitest.Well())
	f.Change(func(v *api.View) { v.Self = name })
	_ = f.SetGossipKeys([]string{s.keys})
	files := s.files(name)
	k := &pki.Keeper{Name: name, Files: files, Signer: pki.Own{Authority: pki.Authority{Root: s.path("pve"), Trusted: files.CA}, Name: name, Addresses: []string{host}}}
	f.OnAuthority(func() (api.Authority, error) {
		st, err := k.Standing()
		return api.Authority{Node: name, Trusted: st.Trusted, Signed: st.Signed, Ends: st.Ends}, err
	}, func(pem []byte) error {
		if err := k.SetTrust(pem); err != nil {
			return err
		}
		if found := k.Look(s.Context(), time.Now()); found.Problem != "" {
			return errors.New(found.Problem)
		}
		return nil
	})
	conf, err := api.ServerTLS(files.CA, files.Cert, files.Key)
	if err != nil {
		s.Fatal(err)
	}
	l, err := api.ListenTLS(fmt.Sprintf("%s:%d", host, port), conf)
	if err != nil {
		s.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); _ = api.NewServer(f, nil).Serve(ctx, l) }()
	end := func() { cancel(); <-ended }
	s.Cleanup(end)
	s.fakes[name], s.stop[name], s.address[name] = f, end, l.Addr().String()
	return l.Addr().(*net.TCPAddr).Port
}

// hactl runs the command.
func (s *site) hactl(args ...string) (out, errs string, code int) {
	s.Helper()
	var o, e bytes.Buffer
	code = run(append(args, "--config", s.path("basculed.yaml")), strings.NewReader(""), &o, &e)
	return o.String(), e.String(), code
}

func TestRotateGossip(t *testing.T) {
	s := newSite(t)
	out, errs, code := s.hactl("keys", "rotate-gossip")
	if code != exitOK || !strings.Contains(out, "gossip of 3 members is encrypted with a new key") {
		t.Fatalf("%d %s %s", code, out, errs)
	}
	fresh := strings.TrimSpace(s.read("pve/" + pki.SharedGossip))
	want := [][]string{{s.keys}, {s.keys, fresh}, {fresh, s.keys}, {fresh}}
	for name, f := range s.fakes {
		if got := f.GossipHistory(); !slices.EqualFunc(got, want, slices.Equal) || fresh == s.keys {
			t.Errorf("%s walked through %d lists, want receive, send, forget", name, len(got))
		}
	}
	if strings.Contains(out+errs, s.keys) || strings.Contains(out+errs, fresh) {
		t.Error("a key was printed")
	}
}

// Wherever it is interrupted, every two members can still talk to each other, and the same command again ends it.
func TestRotateGossipInterrupted(t *testing.T) {
	for step := 1; step <= 3; step++ {
		s := newSite(t)
		s.fakes["witness1"].FailAfter(step-1, errors.New("its disk is full"))
		out, errs, code := s.hactl("keys", "rotate-gossip")
		if code != exitDegraded || !strings.Contains(errs, "its disk is full") || !strings.Contains(errs, "again") {
			t.Fatalf("step %d: %d %s %s", step, code, out, errs)
		}
		for a, fa := range s.fakes {
			for b, fb := range s.fakes {
				sends, takes := fa.GossipKeys().Keys[0], fb.GossipKeys().Keys
				if !slices.Contains(takes, sends) {
					t.Errorf("step %d: %s sends with %s, which %s does not have: %v", step, a, sends, b, takes)
				}
			}
		}
		s.fakes["witness1"].FailAfter(0, nil)
		s.write("gossip.keys", strings.Join(s.last("node1"), "\n")+"\n") // what node1's daemon has written
		if out, errs, code := s.hactl("keys", "rotate-gossip"); code != exitOK {
			t.Fatalf("again after step %d: %d %s %s", step, code, out, errs)
		}
		for name := range s.fakes {
			if got := s.last(name); len(got) != 1 || got[0] == s.keys {
				t.Errorf("step %d: %s ends with %d keys", step, name, len(got))
			}
		}
	}
}

func (s *site) last(name ha.NodeName) []string {
	all := s.fakes[name].GossipHistory()
	return all[len(all)-1]
}

func TestRotateGossipRefuses(t *testing.T) {
	for _, tt := range []struct {
		what  string
		spoil func(*site)
		want  string
	}{
		{"a member that is away", func(s *site) { s.stop["node2"]() }, "every member must take part, and node2 does not"},
		{"a member with a key that is not known here", func(s *site) { _ = s.fakes["node2"].SetGossipKeys([]string{pki.NewGossipKey()}) }, "node2 sends with a key"},
	} {
		s := newSite(t)
		tt.spoil(s)
		_, errs, code := s.hactl("keys", "rotate-gossip")
		if got := strings.Join(strings.Fields(errs), " "); code == exitOK || !strings.Contains(got, tt.want) || !strings.Contains(got, "nothing was changed") {
			t.Errorf("%s: %d %s", tt.what, code, got)
		}
		if n := len(s.fakes["node1"].GossipHistory()); n != 1 {
			t.Errorf("%s: node1's keys were changed", tt.what)
		}
	}
}

// A witness renews itself; by hand a certificate is made for one that cannot ask any more.
func TestWitnessRenew(t *testing.T) {
	s := newSite(t)
	out, errs, code := s.hactl("witness", "renew", "witness1", "--out", s.path("out"))
	if code != exitOK || !strings.Contains(strings.Join(strings.Fields(out), " "), "mode 0600") {
		t.Fatalf("%d %s %s", code, out, errs)
	}
	if info, err := os.Stat(s.path("out", "node.key")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key's mode %v, %v", info.Mode(), err)
	}
	cert, err := pki.ParseCertificate([]byte(s.read("out/node.pem")))
	if err != nil || cert.VerifyHostname("witness1") != nil || cert.CheckSignatureFrom(s.authority()) != nil {
		t.Errorf("its certificate: %v", err)
	}
	for _, name := range []string{"node2", "node9"} {
		if _, errs, code := s.hactl("witness", "renew", name); code != exitUsage {
			t.Errorf("no witness: %d %s", code, errs)
		}
	}
	if err := os.Remove(s.path("pve", pki.SharedCAKey)); err != nil {
		t.Fatal(err)
	}
	if _, errs, code := s.hactl("witness", "renew", "witness1"); code == exitOK || !strings.Contains(errs, "Proxmox node") {
		t.Errorf("without the authority: %d %s", code, errs)
	}
}

// authority is the certificate that signs.
func (s *site) authority() *x509.Certificate {
	s.Helper()
	cert, err := pki.ParseCertificate([]byte(s.read("pve/" + pki.SharedCA)))
	if err != nil {
		s.Fatal(err)
	}
	return cert
}

// copyOfStore is what etcd's snapshots look like: pages, then their checksum.
func copyOfStore() []byte {
	db := bytes.Repeat([]byte("page"), 512)
	sum := sha256.Sum256(db)
	return append(db, sum[:]...)
}

func TestBackupAndRestore(t *testing.T) {
	s := newSite(t)
	s.fakes["node1"].SetSnapshot(copyOfStore())
	socket := s.path("api.sock")
	l, err := api.ListenUnix(socket)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() { _ = api.NewServer(s.fakes["node1"], nil).Serve(ctx, l) }()
	file := s.path("b.tar.gz")
	out, errs, code := s.hactl("backup", file, "--socket", socket)
	if code != exitOK || !strings.Contains(strings.Join(strings.Fields(out), " "), "holds the cluster's keys: mode 0600") {
		t.Fatalf("%d %s %s", code, out, errs)
	}
	m, err := backup.Read(file, s.path("out.db"))
	if err != nil || m.Cluster != "lan" || s.read("out.db") != string(copyOfStore()) {
		t.Fatalf("%+v %v", m, err)
	}
	for _, f := range []string{"basculed.yaml", "node1/node.key", "gossip.keys", "token", "pve/" + pki.SharedCAKey, "pve/" + pki.SharedCA} {
		if !slices.Contains(m.Files, s.path(f)) {
			t.Errorf("%s is not in the backup: %v", f, m.Files)
		}
	}
	if _, _, code := s.hactl("backup", file, "--socket", socket); code == exitOK {
		t.Error("the same file was written again")
	}
	s.fakes["node1"].Fail(errors.New("raft has no leader"))
	if _, errs, code := s.hactl("backup", s.path("half.tar.gz"), "--socket", socket); code == exitOK || !strings.Contains(errs, "broke off") {
		t.Errorf("half a copy: %d %s", code, errs)
	}
	left, _ := filepath.Glob(s.path(".bascule-store-*"))
	if _, err := os.Stat(s.path("half.tar.gz")); err == nil || len(left) > 0 {
		t.Errorf("something was left behind: %v", left)
	}

	s.write("basculed", "#!/bin/sh\necho \"called: $*\"\ncmp \"$6\" "+s.path("out.db")+" && echo same\n")
	if err := os.Chmod(s.path("basculed"), 0o700); err != nil {
		t.Fatal(err)
	}
	out, errs, code = s.hactl("restore", file, "--basculed", s.path("basculed"), "--yes", "--again", "2")
	if code != exitOK || !strings.Contains(out, "--times 2") || !strings.Contains(out, "same") || !strings.Contains(errs, "every guest will be frozen") {
		t.Fatalf("%d %s %s", code, out, errs)
	}
	if _, errs, code := s.hactl("restore", file, "--basculed", s.path("basculed")); code != exitUsage || !strings.Contains(errs, "--yes") {
		t.Errorf("it does not ask: %d %s", code, errs)
	}
	s.write("basculed.yaml", strings.Replace(s.read("basculed.yaml"), "cluster: lan", "cluster: other", 1))
	if _, errs, code := s.hactl("restore", file, "--basculed", s.path("basculed"), "--yes"); code == exitOK || !strings.Contains(errs, "of cluster lan") {
		t.Errorf("another cluster's: %d %s", code, errs)
	}
}
