package etcd

import (
	"context"
	"crypto/tls"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bascule/ha"
	"bascule/ha/setup/pki"
)

// separate gives every voter files of its own, CA file included, signed by one authority.
func separate(t *testing.T, l *lab) *pki.CA {
	t.Helper()
	ca := freshCA(t)
	l.tls = map[ha.NodeName]TLS{}
	for _, v := range l.voters {
		dir := t.TempDir()
		f := TLS{CAFile: filepath.Join(dir, "ca.pem"), CertFile: filepath.Join(dir, "node.pem"), KeyFile: filepath.Join(dir, "node.key")}
		trust(t, f, ca)
		renewCertificate(t, ca, v, f, time.Now())
		l.tls[v.Name] = f
	}
	return ca
}

func freshCA(t *testing.T) *pki.CA {
	t.Helper()
	ca, err := pki.NewCA("test", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

// trust writes a voter's CA file.
func trust(t *testing.T, f TLS, all ...*pki.CA) {
	t.Helper()
	var text []byte
	for _, ca := range all {
		text = append(text, ca.CertPEM()...)
	}
	if err := os.WriteFile(f.CAFile+".new", text, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(f.CAFile+".new", f.CAFile); err != nil {
		t.Fatal(err)
	}
}

// greeted says whether a port accepts a caller with these files. With TLS 1.3 a server's refusal shows at the first read.
func greeted(t *testing.T, f TLS, address string) bool {
	t.Helper()
	c, err := loadTLS(f)
	if err != nil {
		t.Fatal(err)
	}
	c.InsecureSkipVerify = true // what the caller thinks of the server is not the question
	conn, err := tls.Dial("tcp", address, c)
	if err != nil {
		return false
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
	if _, err := conn.Write([]byte("GET /health HTTP/1.1\r\nHost: x\r\n\r\n")); err != nil {
		return false
	}
	_, err = conn.Read(make([]byte, 1))
	return err == nil
}

// The authority is replaced under a running cluster, as hactl keys rotate-authority does it: both are trusted by all, then all have new
// certificates, then the old one goes. The lease is renewed all the time. Afterwards who has a certificate of the old one only, a node that
// was removed, is refused at both ports of every member.
func TestAnotherAuthorityIsTakenUpWithoutALoss(t *testing.T) {
	l := newLab(t, 3)
	old, fresh := separate(t, l), freshCA(t)
	stores := l.all()
	removed := TLS{CAFile: l.tls["node1"].CAFile, CertFile: filepath.Join(t.TempDir(), "x.pem"), KeyFile: filepath.Join(t.TempDir(), "x.key")}
	renewCertificate(t, old, Voter{Name: "node9", Address: l.host(9)}, removed, time.Now())

	s := stores[0]
	lease, err := s.Grant(within(t, 30*time.Second), time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	record := ha.Txn{Puts: []ha.Put{{Key: ha.KeyLease("node1"), Value: []byte("{}"), Lease: lease}}}
	if _, err := s.Commit(within(t, 30*time.Second), record); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	renewals := make(chan time.Duration, 1)
	go func() { renewals <- renewing(ctx, t, s, lease) }()

	ports := func(want bool, what string) {
		t.Helper()
		for _, v := range l.voters {
			for kind, port := range map[string]int{"peer": l.ports[0], "client": l.ports[1]} {
				if got := greeted(t, removed, hostPort(v.Address, port)); got != want {
					t.Errorf("%s: %s's %s port accepts the removed node: %v", what, v.Name, kind, got)
				}
			}
		}
	}
	retrust := func(what string, all ...*pki.CA) {
		t.Helper()
		for i, v := range l.voters {
			began := time.Now()
			trust(t, l.tls[v.Name], all...)
			if err := stores[i].Retrust(within(t, 2*time.Minute)); err != nil {
				t.Fatalf("%s: %s: %v", what, v.Name, err)
			}
			if got, err := pki.ParseTrust(stores[i].Trusts()); err != nil || len(got) != len(all) {
				t.Errorf("%s: %s was started with %d authorities, %v", what, v.Name, len(got), err)
			}
			t.Logf("%s: %s in %v", what, v.Name, time.Since(began).Round(time.Millisecond))
		}
	}
	ports(true, "before")
	retrust("trusts both", old, fresh)
	for _, v := range l.voters {
		renewCertificate(t, fresh, v, l.tls[v.Name], time.Now())
	}
	ports(true, "both trusted")
	retrust("forgets the old one", fresh)
	ports(false, "after")
	stop()
	t.Logf("the longest time without a renewal of the lease: %v", <-renewals)
	if kv, _, err := s.Get(within(t, 30*time.Second), ha.KeyLease("node1")); err != nil || kv == nil || kv.Lease != lease {
		t.Errorf("the lease's record: %+v, %v", kv, err)
	}
	for _, st := range stores {
		if err := st.Retrust(within(t, 30*time.Second)); err != nil { // nothing to do
			t.Error(err)
		}
	}
}

// renewing renews a lease until ctx ends and returns the longest time without a success.
func renewing(ctx context.Context, t *testing.T, s *Store, lease ha.LeaseID) (longest time.Duration) {
	last := time.Now()
	for ctx.Err() == nil {
		try, cancel := context.WithTimeout(ctx, 2*time.Second)
		_, err := s.Renew(try, lease)
		cancel()
		if errors.Is(err, ha.ErrConflict) {
			t.Errorf("the lease is gone: %v", err)
			return longest
		}
		if err == nil {
			longest, last = max(longest, time.Since(last)), time.Now()
		}
		pause(ctx, 100*time.Millisecond)
	}
	return longest
}

// A member is not restarted while the store would stop without it; when the others are back, it is.
func TestNoRetrustWithoutTheOthers(t *testing.T) {
	l := newLab(t, 3)
	old, fresh := separate(t, l), freshCA(t)
	stores := l.all()
	l.kill("node3")
	trust(t, l.tls["node1"], old, fresh)
	err := stores[0].Retrust(within(t, time.Minute))
	if !errors.Is(err, ha.ErrUnavailable) || !strings.Contains(err.Error(), "node3") {
		t.Fatalf("%v, want a refusal that names node3", err)
	}
	if got, _ := pki.ParseTrust(stores[0].Trusts()); len(got) != 1 {
		t.Errorf("its member trusts %d authorities", len(got))
	}
	if _, err := stores[0].Commit(within(t, 30*time.Second), put("a", "it still votes")); err != nil {
		t.Error(err)
	}
	l.ready(l.open("node3"))
	until(t, "node1's member trusts both", func() bool { return stores[0].Retrust(within(t, time.Minute)) == nil })
	if got, _ := pki.ParseTrust(stores[0].Trusts()); len(got) != 2 {
		t.Errorf("its member trusts %d authorities", len(got))
	}
}

// Who has asked for it goes away in the middle: the member comes back all the same.
func TestRetrustIsNotLeftHalfDone(t *testing.T) {
	l := newLab(t, 3)
	old, fresh := separate(t, l), freshCA(t)
	s := l.all()[0]
	sv := s.server.Load()
	ctx, leave := context.WithCancel(within(t, time.Minute))
	go func() { <-sv.closing; leave() }()
	trust(t, l.tls["node1"], old, fresh)
	if err := s.Retrust(ctx); err != nil {
		t.Fatal(err)
	}
	if ctx.Err() == nil {
		t.Error("the member was not stopped")
	}
	if got, err := pki.ParseTrust(s.Trusts()); err != nil || len(got) != 2 {
		t.Errorf("its member trusts %d authorities, %v", len(got), err)
	}
}

// The only voter pauses and goes on with what it has; who runs no member has nothing to restart.
func TestRetrustOfTheOnlyVoter(t *testing.T) {
	l := newLab(t, 1)
	old, fresh := separate(t, l), freshCA(t)
	s := l.all()[0]
	if _, err := s.Commit(within(t, 30*time.Second), put("a", "1")); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	l.tls["client"] = TLS{CAFile: filepath.Join(dir, "ca.pem"), CertFile: filepath.Join(dir, "node.pem"), KeyFile: filepath.Join(dir, "node.key")}
	trust(t, l.tls["client"], old)
	renewCertificate(t, old, Voter{Name: "client", Address: l.host(9)}, l.tls["client"], time.Now())
	client := l.open("client")
	l.ready(client)

	trust(t, l.tls["client"], old, fresh)
	if err := client.Retrust(within(t, time.Minute)); err != nil || client.Trusts() != nil {
		t.Errorf("a client: %v", err)
	}
	trust(t, l.tls["node1"], old, fresh)
	if err := s.Retrust(within(t, time.Minute)); err != nil {
		t.Fatal(err)
	}
	renewCertificate(t, fresh, l.voters[0], l.tls["node1"], time.Now())
	trust(t, l.tls["node1"], fresh, old)
	if err := s.Retrust(within(t, time.Minute)); err != nil {
		t.Fatal(err)
	}
	for _, st := range []*Store{s, client} { // the client meets the new certificate on a new connection
		if kv, _, err := st.Get(within(t, 30*time.Second), "a"); err != nil || kv == nil || string(kv.Value) != "1" {
			t.Errorf("%+v, %v", kv, err)
		}
	}
}
