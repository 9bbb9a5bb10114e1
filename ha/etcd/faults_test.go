package etcd

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bascule/ha"
)

func TestASilentEndpointCostsNoMoreThanAHesitation(t *testing.T) {
	t.Parallel()
	l := newLab(t, 1)
	l.ready(l.open("node1"))
	lease, err := patient(t, l.stores["node1"]).Grant(hang(t), 10*time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	// An endpoint that hesitates for longer costs callLimit. One fast renewal shows that it is not waited for; a machine that stalls does not.
	for try := range 5 {
		took, ok := l.renewPastASilentEndpoint(t, lease)
		t.Logf("try %d: the first renewal took %v (%v)", try+1, took, ok)
		if ok && took < 900*time.Millisecond {
			return
		}
	}
	t.Error("a silent endpoint is waited for")
}

// renewPastASilentEndpoint says how long the first renewal takes after the favourite has fallen silent, and false when it was no favourite
// any more: the machine hesitated. The endpoint must come back into use.
func (l *lab) renewPastASilentEndpoint(t *testing.T, lease ha.LeaseID) (time.Duration, bool) {
	p := newProxy(t, hostPort(l.host(250), l.ports[1]), hostPort(l.host(1), l.ports[1]))
	defer p.close()
	s := l.client(t, []Voter{{Name: "proxied", Address: l.host(250)}, {Name: "node1", Address: l.host(1)}})
	if _, err := patient(t, s).Renew(hang(t), lease); err != nil {
		t.Fatal(err)
	}
	favourite := s.pool.order()[0].name == "proxied"
	p.swallow(false)
	p.swallow(true)
	began := time.Now()
	_, err := s.Renew(within(t, l.timing.RenewTimeout), lease)
	took := time.Since(began)
	if _, err := patient(t, s).Commit(hang(t), put("k", "v")); err != nil {
		t.Errorf("a commit after the endpoint was found silent: %v", err)
	}
	until(t, "the silent connection was given up and the endpoint is used again", func() bool {
		_, rerr := s.Renew(within(t, time.Second), lease)
		return rerr == nil && s.pool.order()[0].name == "proxied"
	})
	return took, favourite && err == nil
}

// Two busy machines take their time for a handshake; an attempt that is broken off and begun anew costs both more of it, again and again.
func TestASlowHandshakeIsAwaited(t *testing.T) {
	t.Parallel()
	l := newLab(t, 1)
	l.ready(l.open("node1"))
	p := newProxy(t, hostPort(l.host(250), l.ports[1]), hostPort(l.host(1), l.ports[1]))
	p.slow.Store(int64(3 * time.Second))
	s := l.client(t, []Voter{{Name: "proxied", Address: l.host(250)}})
	l.ready(s)
}

func TestTheOwnMemberIsReachedAtItsBindAddress(t *testing.T) {
	t.Parallel()
	l := newLab(t, 1)
	l.voters[0].Address = l.host(250) // public; nobody listens there
	cfg := l.config("node1")
	cfg.BindAddress = l.host(1)
	s, err := Open(hang(t), cfg)
	if err != nil {
		t.Fatal(err)
	}
	l.stores["node1"] = s
	l.ready(s)
}

func TestStrangersAreRefused(t *testing.T) {
	t.Parallel()
	l := newLab(t, 1)
	l.ready(l.open("node1"))
	cfg := l.config("stranger")
	other := newAuthority(t)
	forged := other.issue(t, "stranger", l.host(1))
	cfg.TLS.CertFile, cfg.TLS.KeyFile = forged.CertFile, forged.KeyFile // trusts our CA, is not of it
	s, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer s.HardStop()
	if _, _, err := s.Read(within(t, time.Second)); !errors.Is(err, ha.ErrUnavailable) {
		t.Errorf("a certificate of another CA: %v", err)
	}
	cfg = l.config("careful")
	cfg.TLS.CAFile = filepath.Join(other.dir, "ca.pem") // is ours, does not trust our CA
	s, err = Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer s.HardStop()
	if _, _, err := s.Read(within(t, time.Second)); !errors.Is(err, ha.ErrUnavailable) {
		t.Errorf("a server of another CA: %v", err)
	}
}

func TestOpenExplainsWhatItCannotDo(t *testing.T) {
	t.Parallel()
	l := newLab(t, 2)
	l.all()
	l.kill("node2")
	if err := os.RemoveAll(l.dirs["node2"]); err != nil {
		t.Fatal(err)
	}
	lost := l.open("node2")
	until(t, "a voter without its data says what to do", func() bool {
		h := lost.Health(hang(t))
		return h.Own == "client" && strings.Contains(strings.Join(h.Problems, "; "), "hactl etcd replace node2")
	})
	busy := l.config("node1")
	busy.DataDir = filepath.Join(t.TempDir(), "etcd")
	if s, err := Open(hang(t), busy); err == nil {
		s.HardStop()
		t.Error("opened on a busy port")
	} else if !strings.Contains(err.Error(), "must be free") {
		t.Errorf("busy port: %v", err)
	}
}

func TestExternalConfigurationsThatCannotWorkAreRefused(t *testing.T) {
	ca := newAuthority(t)
	good := newLab(t, 1).config("node1")
	good.Voters, good.TLS = nil, TLS{CAFile: filepath.Join(ca.dir, "ca.pem")}
	for what, spoil := range map[string]func(*Config, *External){
		"voters too":      func(c *Config, _ *External) { c.Voters = []Voter{{Name: "a", Address: "127.0.0.1"}} },
		"no endpoint":     func(_ *Config, x *External) { x.Endpoints = nil },
		"clear":           func(_ *Config, x *External) { x.Endpoints[0] = "http://10.0.0.1:2379" },
		"no port":         func(_ *Config, x *External) { x.Endpoints[0] = "https://10.0.0.1" },
		"twice":           func(_ *Config, x *External) { x.Endpoints = append(x.Endpoints, x.Endpoints[0]) },
		"password in URL": func(_ *Config, x *External) { x.Endpoints[0] = "https://root:s3cret@10.0.0.1:2379" },
		"no CA":           func(c *Config, _ *External) { c.TLS.CAFile = "" },
		"half a pair":     func(c *Config, _ *External) { c.TLS.CertFile = "/x" },
		"half a user":     func(_ *Config, x *External) { x.PasswordFile = "" },
		"anybody":         func(_ *Config, x *External) { x.User, x.PasswordFile = "", "" },
	} {
		c, x := good, &External{Endpoints: []string{"https://10.0.0.1:2379"}, User: "bascule", PasswordFile: "/x"}
		c.External = x
		if spoil(&c, x); !errors.Is(c.check(), ErrConfig) {
			t.Errorf("%s: %v", what, c.check())
		}
		noSecret(t, c.check())
	}
}

func TestConfigurationsThatCannotWorkAreRefused(t *testing.T) {
	l := newLab(t, 1)
	for what, spoil := range map[string]func(*Config){
		"no name":        func(c *Config) { c.Self = "" },
		"no voters":      func(c *Config) { c.Voters = nil },
		"same name":      func(c *Config) { c.Voters = append(c.Voters, c.Voters[0]) },
		"bad name":       func(c *Config) { c.Voters = append(c.Voters, Voter{Name: "a=b", Address: "127.0.0.1"}) },
		"no port":        func(c *Config) { c.ClientPort = 0 },
		"no TLS":         func(c *Config) { c.TLS = TLS{} },
		"missing key":    func(c *Config) { c.TLS.KeyFile = "/nonexistent" },
		"no data":        func(c *Config) { c.DataDir = "" },
		"bad bind":       func(c *Config) { c.BindAddress = "example.org" },
		"slash":          func(c *Config) { c.Cluster = "a/b" },
		"timing":         func(c *Config) { c.Timing.LeaseTTL = 0 },
		"CA without PEM": func(c *Config) { c.TLS.CAFile = "/dev/null" },
	} {
		c := l.config("node1")
		spoil(&c)
		if s, err := Open(t.Context(), c); !errors.Is(err, ErrConfig) {
			t.Errorf("%s: %v", what, err)
			if s != nil {
				s.HardStop()
			}
		}
	}
}
