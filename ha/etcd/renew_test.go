package etcd

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"bascule/ha"
	"bascule/ha/setup/pki"
)

// shortLived gives every voter a certificate that ends soon, and returns the authority and the files.
func shortLived(t *testing.T, l *lab, life time.Duration) (*pki.CA, map[ha.NodeName]TLS) {
	t.Helper()
	ca, err := pki.NewCA("test", time.Now().Add(-pki.Lifetime))
	if err != nil {
		t.Fatal(err)
	}
	files := map[ha.NodeName]TLS{}
	for _, v := range l.voters {
		f := l.config(v.Name).TLS // its paths
		renewCertificate(t, ca, v, f, time.Now().Add(life-pki.Lifetime))
		files[v.Name] = f
	}
	if err := os.WriteFile(files["node1"].CAFile, ca.CertPEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	l.tls = files
	return ca, files
}

func renewCertificate(t *testing.T, ca *pki.CA, v Voter, f TLS, issued time.Time) {
	t.Helper()
	certPEM, keyPEM, err := ca.Issue(v.Name, []string{v.Address}, issued)
	if err == nil {
		err = pki.Files{CA: f.CAFile, Cert: f.CertFile, Key: f.KeyFile}.Write(certPEM, keyPEM)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// shown is the certificate that a port shows to a new connection.
func shown(t *testing.T, f TLS, address string) (*x509.Certificate, error) {
	t.Helper()
	c, err := loadTLS(f)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := tls.Dial("tcp", address, c)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", address, err)
	}
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0], nil
}

// Certificates are renewed under a running cluster: no lease, watch or write notices. New connections, in both directions and on both
// ports, use the new ones: a voter that is restarted after the old ones have ended comes back.
func TestRenewedCertificatesAreTakenUpWithoutALoss(t *testing.T) {
	t.Parallel()
	for _, life := range []time.Duration{12 * time.Second, 30 * time.Second, 60 * time.Second, 120 * time.Second} {
		problem := renewInTime(t, life)
		if problem == "" {
			return
		}
		t.Logf("with certificates of %v: %s", life, problem) // which a machine that stalls may be to blame for
	}
	t.Error("certificates are not exchanged without a loss")
}

// renewInTime exchanges certificates that end after life. It returns what a machine that stalls may have spoilt.
func renewInTime(t *testing.T, life time.Duration) (problem string) {
	l := newLab(t, 3)
	ca, files := shortLived(t, l, life)
	ends := time.Now().Add(life)
	stores := l.openAll("node1", "node2", "node3")
	defer func() {
		for n := range l.stores {
			l.kill(n)
		}
	}()
	s := patient(t, stores[0])
	lease, err := s.Grant(within(t, life), 10*time.Minute)
	if err != nil {
		return fmt.Sprintf("the cluster did not form before its certificates ended: %v", err)
	}
	ha1 := ha.Txn{Puts: []ha.Put{{Key: ha.KeyLease("node1"), Value: []byte("{}"), Lease: lease}}}
	if _, err := s.Commit(hang(t), ha1); err != nil {
		t.Fatal(err)
	}
	var changes atomic.Int64
	for _, st := range stores {
		st.StartView(t.Context(), func() { changes.Add(1) })
	}
	until(t, "every view is there", func() bool {
		return !slices.ContainsFunc(stores, func(st *Store) bool { _, _, ok := st.Latest(); return !ok })
	})
	reads := changes.Load()
	for i, v := range l.voters {
		c, err := shown(t, files[v.Name], hostPort(v.Address, l.ports[1]))
		if err != nil {
			return fmt.Sprintf("before the exchange: %v", err)
		}
		if c.NotAfter.After(ends.Add(time.Second)) {
			t.Fatalf("voter %d begins with a certificate that ends %v", i, c.NotAfter)
		}
	}

	for _, v := range l.voters {
		renewCertificate(t, ca, v, files[v.Name], time.Now())
	}
	if time.Now().After(ends) {
		return "they ended before they were renewed"
	}
	for _, v := range l.voters {
		for what, port := range map[string]int{"peer": l.ports[0], "client": l.ports[1]} {
			if c, err := shown(t, files["node1"], hostPort(v.Address, port)); err != nil || c.NotAfter.Before(ends.Add(time.Hour)) {
				t.Errorf("%s's %s port still shows the old certificate: %v", v.Name, what, err)
			}
		}
	}
	// Until every old certificate has ended, and a little longer: renewals and writes go on.
	writes := int64(0)
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for ; time.Now().Before(ends.Add(2 * time.Second)); <-tick.C {
		if _, err := s.Renew(hang(t), lease); err != nil {
			t.Fatalf("the lease: %v", err)
		}
		if _, err := s.Commit(hang(t), put("a", time.Now().String())); err != nil {
			t.Fatalf("a write: %v", err)
		}
		writes++
	}
	until(t, "every view has every write", func() bool { return changes.Load() >= reads+3*writes })
	if n := changes.Load(); n != reads+3*writes {
		return fmt.Sprintf("%d changes for %d writes and 3 views: a watch broke and was made anew", n-reads, writes)
	}
	t.Logf("%d renewals and writes while the certificates were exchanged and the old ones ended", writes)

	l.kill("node3")
	if _, err := s.Commit(hang(t), put("b", "while it is away")); err != nil {
		t.Fatal(err)
	}
	l.ready(l.open("node3"))
	sees(t, stores[0], "node3 votes again", func(h Health, _ string) bool { return len(h.Members) == 3 && h.Members[2].Answers })
	if kv, _, err := s.Get(hang(t), ha.KeyLease("node1")); err != nil || kv == nil {
		t.Errorf("the lease's key: %+v, %v", kv, err)
	}
	if _, err := s.Renew(hang(t), lease); err != nil {
		t.Errorf("the lease: %v", err)
	}
	return ""
}

// A cluster that lay switched off until every certificate had ended, as one whose clocks have all run ahead: each daemon renews its own
// before it opens the store, and the cluster forms.
func TestAColdStartWithEndedCertificates(t *testing.T) {
	t.Parallel()
	l := newLab(t, 3)
	ca, files := shortLived(t, l, -30*24*time.Hour)
	key, err := ca.KeyPEM()
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir() // /etc/pve, which every node has
	for path, data := range map[string][]byte{pki.SharedCA: ca.CertPEM(), pki.SharedCAKey: key} {
		if err := errors.Join(os.MkdirAll(filepath.Dir(filepath.Join(root, path)), 0o700), os.WriteFile(filepath.Join(root, path), data, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	for _, v := range l.voters {
		f := files[v.Name]
		k := &pki.Keeper{Name: v.Name, Files: pki.Files{CA: f.CAFile, Cert: f.CertFile, Key: f.KeyFile},
			Signer: pki.Own{Authority: pki.Authority{Root: root, Trusted: f.CAFile}, Name: v.Name, Addresses: []string{v.Address}}}
		if got := k.Look(t.Context(), time.Now()); !got.Renewed || got.Problem != "" {
			t.Fatalf("%s: %+v", v.Name, got)
		}
	}
	l.all()
}
