package etcd

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"bascule/ha"
)

// noSecret fails when an error repeats a password.
func noSecret(t *testing.T, err error) {
	t.Helper()
	if err != nil && strings.Contains(err.Error(), "s3cret") {
		t.Errorf("the error repeats the password: %v", err)
	}
}

func TestWhatAnExternalEtcdRefusesIsSaid(t *testing.T) {
	t.Parallel()
	x := newElsewhere(t, 1, time.Second)
	call := hang(t)
	s := x.open(t, x.config())
	x.password("s3cret-but-wrong")
	_, _, err := s.Get(call, "a")
	noSecret(t, err)
	if err == nil || errors.Is(err, ha.ErrUnavailable) || !strings.Contains(err.Error(), "check etcd.user and what "+x.secret+" holds") {
		t.Errorf("a wrong password: %v", err)
	}
	sees(t, s, "the password is wrong", func(h Health, _ string) bool {
		return !h.Quorum && h.External && strings.Contains(h.Why, "cannot log in to etcd as bascule")
	})
	x.password(externalPassword) // put right without a restart
	until(t, "the right password is taken", func() bool {
		_, err := s.Commit(call, put("a", "1"))
		return err == nil
	})
	sees(t, s, "all is well", func(h Health, _ string) bool {
		return h.Quorum && h.Leader == ha.NodeName(hostPort(x.host(1), x.ports[1])) && h.Own == "client" && len(h.Members) == 1
	})
	if moved, _, err := s.MoveRaftLeaderOff(call, "node1"); moved || err != nil {
		t.Errorf("its leader is not ours to move: %v, %v", moved, err)
	}

	if err := os.Chmod(x.secret, 0o644); err != nil {
		t.Fatal(err)
	}
	_, _, err = x.open(t, x.config()).Get(call, "a")
	noSecret(t, err)
	if err == nil || !strings.Contains(err.Error(), "run chmod 600") {
		t.Errorf("a password that all can read: %v", err)
	}
	if err := os.Chmod(x.secret, 0o600); err != nil {
		t.Fatal(err)
	}

	cfg := x.config()
	cfg.External.User, cfg.External.PasswordFile = "", ""
	anybody := x.ca.issue(t, "nobody-there-knows", "127.0.0.1")
	cfg.TLS = anybody
	if _, _, err := x.open(t, cfg).Get(call, "a"); err == nil || !strings.Contains(err.Error(), "set etcd.user and etcd.password_file") {
		t.Errorf("without a user: %v", err)
	}

	if _, err := x.admin.RoleRevokePermission(call, "bascule", "/bascule/v1/", clientv3.GetPrefixRangeEnd("/bascule/v1/")); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Commit(call, put("a", "2")); err == nil || !strings.Contains(err.Error(), "needs a role that may read and write") {
		t.Errorf("without the role's permission: %v", err)
	}
}

// A change of users or roles makes every session old; calls log in again and the caller notices nothing.
func TestASessionThatTheStoreForgotIsRenewed(t *testing.T) {
	t.Parallel()
	x := newElsewhere(t, 1, time.Second)
	call := hang(t)
	s := x.open(t, x.config())
	p := patient(t, s)
	lease, err := p.Grant(call, 10*time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	s.StartView(t.Context(), func() {})
	for i := range 3 {
		if _, err := x.admin.UserAdd(call, "other"+string(rune('a'+i)), "x"); err != nil {
			t.Fatal(err)
		}
		if _, err := p.Commit(call, put("k", string(rune('a'+i)))); err != nil {
			t.Errorf("commit after change %d: %v", i, err)
		}
		if _, err := p.Renew(call, lease); err != nil {
			t.Errorf("renewal after change %d: %v", i, err)
		}
	}
	until(t, "the view follows", func() bool {
		_, kvs, _ := s.Latest()
		return len(kvs) == 1 && string(kvs[0].Value) == "c"
	})
}

func TestALeaseThatWouldOutliveTheTimingIsRefused(t *testing.T) {
	t.Parallel()
	x := newElsewhere(t, 1, 4*time.Second)
	s := x.open(t, x.config())
	_, err := s.Grant(hang(t), 5*time.Second)
	if !errors.Is(err, ha.ErrTTL) || !strings.Contains(err.Error(), "it grants no lease under 6s") || !strings.Contains(err.Error(), "--election-timeout to at most 3.3s") {
		t.Errorf("5 s where elections take 4 s: %v", err)
	}
	if l, err := x.admin.Leases(hang(t)); err != nil || len(l.Leases) != 0 {
		t.Errorf("the long lease was left behind: %+v, %v", l, err)
	}
}

// Endpoints of two clusters would show two truths in turn.
func TestEndpointsOfTwoClustersAreNotMixed(t *testing.T) {
	t.Parallel()
	x, y := newElsewhere(t, 1, time.Second), newElsewhere(t, 1, time.Second)
	cfg := x.config()
	both := filepath.Join(t.TempDir(), "both.pem")
	var pem []byte
	for _, e := range []*elsewhere{x, y} {
		b, err := os.ReadFile(filepath.Join(e.ca.dir, "ca.pem"))
		if err != nil {
			t.Fatal(err)
		}
		pem = append(pem, b...)
	}
	if err := os.WriteFile(both, pem, 0o600); err != nil {
		t.Fatal(err)
	}
	cfg.TLS.CAFile = both
	cfg.External.Endpoints = append(cfg.External.Endpoints, y.endpoint(1))
	s := x.open(t, cfg)
	call := hang(t)
	if _, err := s.Commit(call, put("k", "v")); err != nil {
		t.Fatal(err)
	}
	sees(t, s, "one of them is a stranger", func(h Health, _ string) bool {
		strangers := 0
		for _, m := range h.Members {
			if !m.Answers && strings.Contains(m.Problem, "belongs to another etcd cluster") {
				strangers++
			}
		}
		return h.Quorum && strangers == 1
	})
	for range 20 {
		if kv, _, err := s.Get(call, "k"); err != nil || kv == nil || string(kv.Value) != "v" {
			t.Fatalf("the other cluster's answer was taken: %+v, %v", kv, err)
		}
	}
	var i identity
	now := time.Now()
	for _, step := range []struct {
		id    uint64
		after time.Duration
		ok    bool
	}{{1, 0, true}, {2, time.Second, false}, {1, 10 * time.Second, true}, {2, 39 * time.Second, false}, {2, 41 * time.Second, true}, {1, 42 * time.Second, false}} {
		if err := i.check(step.id, now.Add(step.after)); (err == nil) != step.ok {
			t.Errorf("cluster %d after %v: %v", step.id, step.after, err)
		}
	}
}

// A store in which nobody writes is watched, not read over and over.
func TestAQuietWatchIsKnownToBeAlive(t *testing.T) {
	t.Parallel()
	x := newElsewhere(t, 1, time.Second)
	s := x.open(t, x.config())
	reads := make(chan struct{}, 100)
	s.StartView(t.Context(), func() { reads <- struct{}{} })
	<-reads
	for range 5 { // where the machine stalls, a watch is rightly taken for dead
		first, oldest := time.Now(), time.Duration(0)
		until(t, "two silences have passed", func() bool {
			age, _ := s.ViewAge()
			oldest = max(oldest, age)
			return time.Since(first) > 7*time.Second
		})
		n := len(reads)
		t.Logf("the view was up to %v old and read anew %d times", oldest, n)
		if oldest < 2*time.Second && n == 0 {
			return
		}
		for range n {
			<-reads
		}
	}
	t.Error("a quiet watch is taken for dead again and again")
}
