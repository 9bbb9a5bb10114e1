package etcd

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	"go.etcd.io/etcd/client/pkg/v3/transport"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"

	"bascule/ha"
	"bascule/ha/etcd/storetest"
	"bascule/ha/waittest"
)

const externalPassword = "s3cret-of-bascule"

// elsewhere is an etcd that others run: TLS with a CA of its own, authentication enabled, etcd's own defaults. Tests reach it
// through its endpoints only.
type elsewhere struct {
	t       *testing.T
	ca      *authority
	net     int
	ports   [2]int // peer, client
	servers []*embed.Etcd
	admin   *clientv3.Client
	secret  string // the password's file
}

// newElsewhere starts so many members with this election timeout.
func newElsewhere(t *testing.T, members int, election time.Duration) *elsewhere {
	t.Helper()
	x := &elsewhere{t: t, ca: newAuthority(t), net: subnet(t, 93), secret: filepath.Join(t.TempDir(), "password")}
	x.ports = freePorts(t, x.host(1))
	var hosts, initial []string
	for i := 1; i <= members; i++ {
		hosts = append(hosts, x.host(i))
		initial = append(initial, fmt.Sprintf("etcd%d=https://%s", i, hostPort(x.host(i), x.ports[0])))
	}
	for i := 250; i <= 251; i++ { // proxies in front of it
		hosts = append(hosts, x.host(i))
	}
	server := x.ca.issue(t, "server", hosts...)
	for i := 1; i <= members; i++ {
		c := embed.NewConfig()
		c.Name, c.Dir, c.LogLevel = fmt.Sprintf("etcd%d", i), t.TempDir(), "panic"
		at := func(port int) []url.URL { return []url.URL{{Scheme: "https", Host: hostPort(x.host(i), port)}} }
		c.ListenPeerUrls, c.AdvertisePeerUrls = at(x.ports[0]), at(x.ports[0])
		c.ListenClientUrls, c.AdvertiseClientUrls = at(x.ports[1]), at(x.ports[1])
		c.InitialCluster, c.BcryptCost = strings.Join(initial, ","), 4
		c.UnsafeNoFsync = true
		c.ElectionMs, c.TickMs = uint(election/time.Millisecond), uint(election/10/time.Millisecond)
		c.PeerTLSInfo = transport.TLSInfo{CertFile: server.CertFile, KeyFile: server.KeyFile, TrustedCAFile: server.CAFile, ClientCertAuth: true, SkipClientSANVerify: true}
		c.ClientTLSInfo = transport.TLSInfo{CertFile: server.CertFile, KeyFile: server.KeyFile} // with a CA it would want certificates from clients
		e, err := embed.StartEtcd(c)
		if err != nil {
			t.Fatal(err)
		}
		x.servers = append(x.servers, e)
		t.Cleanup(e.Close)
	}
	for _, e := range x.servers {
		select {
		case <-e.Server.ReadyNotify():
		case <-time.After(5 * waittest.Hang):
			t.Fatal("the external etcd does not come up")
		}
	}
	x.enableAuth()
	return x
}

func (x *elsewhere) host(i int) string { return fmt.Sprintf("127.93.%d.%d", x.net, i) }

// enableAuth makes the user bascule, whose role may use the clusters' prefix and nothing else.
func (x *elsewhere) enableAuth() {
	x.t.Helper()
	tc, err := loadTLS(TLS{CAFile: filepath.Join(x.ca.dir, "ca.pem")})
	if err != nil {
		x.t.Fatal(err)
	}
	open := func(user, password string) *clientv3.Client {
		c, err := clientv3.New(clientv3.Config{Endpoints: []string{x.endpoint(1)}, TLS: tc, Username: user, Password: password, DialTimeout: 10 * time.Second})
		if err != nil {
			x.t.Fatal(err)
		}
		return c
	}
	c := open("", "")
	ctx := hang(x.t)
	must := func(_ any, err error) {
		x.t.Helper()
		if err != nil {
			x.t.Fatal(err)
		}
	}
	must(c.UserAdd(ctx, "root", "of-the-operators"))
	must(c.UserGrantRole(ctx, "root", "root"))
	must(c.RoleAdd(ctx, "bascule"))
	must(c.RoleGrantPermission(ctx, "bascule", "/bascule/v1/", clientv3.GetPrefixRangeEnd("/bascule/v1/"), clientv3.PermissionType(clientv3.PermReadWrite)))
	must(c.UserAdd(ctx, "bascule", externalPassword))
	must(c.UserGrantRole(ctx, "bascule", "bascule"))
	must(c.AuthEnable(ctx))
	must(nil, c.Close())
	x.admin = open("root", "of-the-operators")
	x.t.Cleanup(func() { x.admin.Close() })
	x.password(externalPassword)
}

func (x *elsewhere) password(p string) {
	x.t.Helper()
	if err := os.WriteFile(x.secret, []byte(p+"\n"), 0o600); err != nil {
		x.t.Fatal(err)
	}
}

func (x *elsewhere) endpoint(i int) string { return "https://" + hostPort(x.host(i), x.ports[1]) }

// config is a node's, with the endpoints of these hosts, or of all members.
func (x *elsewhere) config(hosts ...int) Config {
	log := logrus.New()
	log.SetOutput(&testLog{t: x.t})
	timing, err := ha.Profile("normal")
	if err != nil {
		x.t.Fatal(err)
	}
	c := Config{Self: "node1", Cluster: fmt.Sprintf("out%d", clusters.Add(1)), Timing: timing, Log: log,
		TLS:      TLS{CAFile: filepath.Join(x.ca.dir, "ca.pem")},
		External: &External{User: "bascule", PasswordFile: x.secret}}
	if len(hosts) == 0 {
		for i := range x.servers {
			hosts = append(hosts, i+1)
		}
	}
	for _, i := range hosts {
		c.External.Endpoints = append(c.External.Endpoints, x.endpoint(i))
	}
	return c
}

func (x *elsewhere) open(t *testing.T, c Config) *Store {
	t.Helper()
	s, err := Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close(context.Background()) })
	return s
}

// outside is a store on an external etcd whose raft leader can be moved.
type outside struct {
	*Store
	x *elsewhere
}

// ShortestTTL implements storetest.Shortest: one and a half of a second's election timeout.
func (o outside) ShortestTTL() time.Duration { return 2 * time.Second }

// ChangeLeader implements storetest.LeaderChanger.
func (o outside) ChangeLeader(ctx context.Context) error { return changeLeader(ctx, o.x.servers) }

// changeLeader moves raft's leadership to the next member.
func changeLeader(ctx context.Context, servers []*embed.Etcd) error {
	for i, e := range servers {
		if e.Server.Leader() == e.Server.MemberID() {
			next := servers[(i+1)%len(servers)].Server.MemberID()
			return e.Server.MoveLeader(ctx, uint64(e.Server.MemberID()), uint64(next))
		}
	}
	return errors.New("nobody leads")
}

func TestConformanceExternal(t *testing.T) {
	t.Parallel()
	x := newElsewhere(t, 3, time.Second)
	storetest.Run(t, func(t *testing.T) storetest.Store { return outside{x.open(t, x.config()), x} })
}

// TestConformanceExternalThroughFaults has one member behind two proxies.
func TestConformanceExternalThroughFaults(t *testing.T) {
	t.Parallel()
	x := newElsewhere(t, 1, time.Second)
	target := hostPort(x.host(1), x.ports[1])
	storetest.Run(t, func(t *testing.T) storetest.Store {
		f := &faulty{t: t, shortest: 2 * time.Second, compact: func(ctx context.Context, rev int64) error {
			_, err := x.admin.Compact(ctx, rev)
			return err
		}}
		for i := 250; i <= 251; i++ {
			f.proxies = append(f.proxies, newProxy(t, hostPort(x.host(i), x.ports[1]), target))
		}
		cfg := x.config(250, 251)
		f.Store = x.open(t, cfg)
		cfg.External = &External{Endpoints: []string{x.endpoint(1)}, User: "bascule", PasswordFile: x.secret}
		f.bypass = x.open(t, cfg)
		return f
	})
}
