package pvesim

import (
	"crypto/tls"
	stdflag "flag"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"bascule/ha/waittest"
)

func TestMain(m *testing.M) {
	RunChild()
	if err := stdflag.Set("test.parallel", "6"); err != nil { // they mostly wait for workers; the command line may say otherwise
		panic(err)
	}
	status := m.Run()
	if *printsResult {
		status = printResult(status)
	}
	os.Exit(status)
}

const (
	testToken  = "bascule@pve!node1"
	testSecret = "11111111-2222-3333-4444-555555555555"
)

var minimalRole = []string{"Sys.Audit", "VM.Audit", "Datastore.Audit", "VM.PowerMgmt", "VM.Migrate"}

// quick are the durations that tests run with.
var quick = Timing{Start: 60 * time.Millisecond, Stop: 30 * time.Millisecond, Shutdown: 40 * time.Millisecond, ShutdownTimeout: 5 * time.Second,
	Migrate: 150 * time.Millisecond, AuthFail: 30 * time.Millisecond, ProxyNoRoute: 20 * time.Millisecond, ProxyNoRouteSoon: 30 * time.Millisecond,
	ARPExpiry: time.Millisecond, ProxyBlackhole: 1500 * time.Millisecond, SSHNoRoute: 50 * time.Millisecond, StatInterval: time.Hour,
	GuestTick: 10 * time.Millisecond, LockTimeout: 5 * time.Second, StorageTimeout: 100 * time.Millisecond}

const testReform = 120 * time.Millisecond

// testLab is a cluster for one test; all its processes end with the test.
type testLab struct {
	*Cluster
	t      *testing.T
	client *http.Client
	ahead  atomic.Int64 // nanoseconds by which the cluster's clock is ahead of the real one
}

// newTestLab makes a cluster of n nodes named prefix1, prefix2 … with a shared directory and a storage of node 1's own.
func newTestLab(t *testing.T, prefix string, n int, change func(*Options)) *testLab {
	t.Helper()
	dir, err := os.MkdirTemp("", "pvs") // short: unix socket paths are limited
	if err != nil {
		t.Fatal(err)
	}
	o := Options{Dir: dir, Name: "feas", Timing: quick, Corosync: Corosync{Reform: testReform},
		Storages: []Storage{{Name: "shared", Type: "dir", Shared: true}, {Name: "only1", Type: "dir", Nodes: []string{prefix + "1"}}},
		Tokens: []Token{{ID: testToken, Secret: testSecret, Privileges: minimalRole}, {ID: "weak@pve!none", Secret: "weak"},
			{ID: "root@pam!t1", Secret: "root-token"}, {ID: "power@pve!only", Secret: "power", Privileges: []string{"VM.PowerMgmt"}}}}
	octet, port := freeAddress(t)
	o.APIPort = port
	for i := 1; i <= n; i++ {
		o.Nodes = append(o.Nodes, NodeSpec{Name: prefix + strconv.Itoa(i), Bind: fmt.Sprintf("127.%d.0.%d", octet, i)})
	}
	if change != nil {
		change(&o)
	}
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	lab := &testLab{Cluster: c, t: t, client: &http.Client{Transport: transport, Timeout: 2 * waittest.Hang}}
	c.now = func() time.Time { return time.Now().Add(time.Duration(lab.ahead.Load())) }
	t.Cleanup(func() {
		for _, node := range c.order {
			c.PowerOff(node)
			lab.kill(node)
		}
		c.Close()
		transport.CloseIdleConnections()
		os.RemoveAll(dir)
	})
	return lab
}

func freeAddress(t *testing.T) (octet, port int) {
	t.Helper()
	octet = 100 + rand.IntN(150)
	l, err := net.Listen("tcp", fmt.Sprintf("127.%d.0.1:0", octet))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return octet, l.Addr().(*net.TCPAddr).Port
}

// advance lets the cluster's clock jump; timers that run already do not notice.
func (l *testLab) advance(d time.Duration) { l.ahead.Add(int64(d)) }

// on powers all nodes on and waits until they are quorate.
func (l *testLab) on() *testLab {
	l.t.Helper()
	for _, n := range l.order {
		l.powerOn(n)
	}
	for _, n := range l.order {
		l.eventually(n+" is quorate", func() bool { return l.Quorate(n) && l.settled(n) })
	}
	return l
}

func (l *testLab) powerOn(node string) {
	l.t.Helper()
	if err := l.PowerOn(node); err != nil {
		l.t.Fatal(err)
	}
}

func (l *testLab) settled(node string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ring.nodes[node].until.IsZero()
}

// cut is a power cut: the node goes off and its processes are killed.
func (l *testLab) cut(node string) {
	l.PowerOff(node)
	l.kill(node)
}

// kill ends every process of a node, which are known by their environment, until there is none.
func (l *testLab) kill(node string) {
	mark := nodeDirEnv + "=" + l.nodes[node].dir
	for found := true; found; {
		found = false
		environs, _ := filepath.Glob("/proc/[0-9]*/environ")
		for _, p := range environs {
			data, err := os.ReadFile(p)
			if err != nil || !containsLine(string(data), mark) {
				continue
			}
			found = true
			pid, _ := strconv.Atoi(strings.Split(p, "/")[2])
			syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}

func containsLine(environ, want string) bool {
	for _, e := range strings.Split(environ, "\x00") {
		if e == want {
			return true
		}
	}
	return false
}

func (l *testLab) guest(g GuestSpec) {
	l.t.Helper()
	if err := l.CreateGuest(g); err != nil {
		l.t.Fatal(err)
	}
}

func (l *testLab) eventually(what string, ok func() bool) {
	l.t.Helper()
	waittest.Until(l.t, waittest.Hang, what, ok)
}

// do calls with the daemon's token.
func (l *testLab) do(node, method, path string, form url.Values) reply {
	l.t.Helper()
	r, err := l.call(node, as(testToken, testSecret), method, path, form)
	if err != nil {
		l.t.Fatalf("%s %s at %s: %v", method, path, node, err)
	}
	return r
}

// task calls something that answers a UPID and waits for its exit status.
func (l *testLab) task(node, path string, form url.Values) string {
	l.t.Helper()
	r := l.do(node, "POST", path, form)
	id, ok := r.data().(string)
	if r.status != 200 || !ok {
		l.t.Fatalf("POST %s at %s: %d %s %s", path, node, r.status, r.reason, r.raw)
	}
	return l.wait(id)
}

func (l *testLab) wait(id string) string {
	l.t.Helper()
	var status string
	l.eventually("end of "+id, func() bool {
		s, ended, err := l.TaskStatus(id)
		if err != nil {
			l.t.Fatal(err)
		}
		status = s
		return ended
	})
	return status
}

// status is status/current of a guest.
func (l *testLab) status(node, kind string, vmid int) string {
	l.t.Helper()
	r := l.do(node, "GET", fmt.Sprintf("/nodes/%s/%s/%d/status/current", node, kind, vmid), nil)
	if r.status != 200 {
		return r.reason
	}
	return r.data().(map[string]any)["status"].(string)
}

// line is one line of a guest's log.
type line struct {
	node, incarnation string
	generation        int64
	counter           int64
	at                int64
}

func (l *testLab) lines(vmid int) []line {
	l.t.Helper()
	data, err := os.ReadFile(filepath.Join(l.opt.Dir, "storage/guests", strconv.Itoa(vmid)+".log"))
	if err != nil {
		return nil
	}
	var out []line
	for s := range strings.Lines(string(data)) {
		var got line
		var id int
		if _, err := fmt.Sscanf(s, "%d %s %s %d %d %d", &id, &got.node, &got.incarnation, &got.generation, &got.counter, &got.at); err != nil {
			l.t.Fatalf("guest line %q: %v", s, err)
		}
		out = append(out, got)
	}
	return out
}
