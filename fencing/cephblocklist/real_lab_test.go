//go:build fencingreal

package cephblocklist

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// lab is a real cluster of three OSDs, each a CRUSH host of its own. node2 is a network namespace at the other end of a cable: there osd.2
// and the writers are. Everything else is at our end.
type lab struct {
	t          *testing.T
	dir        string
	ns, cable  string
	ours, node string // addresses
	daemons    []*exec.Cmd
	osds       []*exec.Cmd
}

func newLab(t *testing.T, options ...string) *lab {
	for _, tool := range []string{"ceph", "ceph-mon", "ceph-osd", "ceph-authtool", "monmaptool", "ip"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not installed: apt-get install ceph-mon ceph-osd ceph-common iproute2", tool)
		}
	}
	if os.Getuid() != 0 {
		t.Skip("only root can make a network namespace")
	}
	saved := interpreter
	interpreter = []string{"/usr/bin/python3", "-I", "-c"}
	n := os.Getpid() % 250
	l := &lab{t: t, dir: t.TempDir(), ns: fmt.Sprintf("bascule-ceph-%d", n), cable: fmt.Sprintf("bcz%d", n),
		ours: fmt.Sprintf("10.231.%d.1", n), node: fmt.Sprintf("10.231.%d.2", n)}
	t.Cleanup(func() {
		interpreter = saved
		l.end()
	})
	l.network()
	l.start(strings.Join(options, "\n") + "\n")
	return l
}

func (l *lab) network() {
	l.run("ip", "netns", "add", l.ns)
	l.run("ip", "link", "add", l.cable, "type", "veth", "peer", "name", "eth0", "netns", l.ns)
	l.run("ip", "addr", "add", l.ours+"/24", "dev", l.cable)
	l.run("ip", "link", "set", l.cable, "up")
	l.run("ip", "-n", l.ns, "addr", "add", l.node+"/24", "dev", "eth0")
	l.run("ip", "-n", l.ns, "link", "set", "eth0", "up")
	l.run("ip", "-n", l.ns, "link", "set", "lo", "up")
}

// end kills what was started, then takes the cable away before the namespace.
func (l *lab) end() {
	for _, d := range l.daemons {
		_ = d.Process.Kill()
		_ = d.Wait()
	}
	for _, args := range [][]string{{"link", "del", l.cable}, {"netns", "del", l.ns}} {
		if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
			l.t.Logf("ip %v: %v %s", args, err, out)
		}
	}
}

func (l *lab) file(name string) string { return filepath.Join(l.dir, name) }

func (l *lab) write(name, content string) {
	l.t.Helper()
	if err := os.WriteFile(l.file(name), []byte(content), 0o600); err != nil {
		l.t.Fatal(err)
	}
}

func (l *lab) run(name string, args ...string) string {
	l.t.Helper()
	out, err := command(l.t, name, args...).Output()
	if err != nil {
		why := ""
		if e, ok := err.(*exec.ExitError); ok {
			why = string(e.Stderr)
		}
		l.t.Fatalf("%s %v: %v %s", name, args, err, why)
	}
	return string(out)
}

func command(t *testing.T, name string, args ...string) *exec.Cmd {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)
	return exec.CommandContext(ctx, name, args...)
}

// daemon starts a process that lives as long as the lab; argv[0] may be ip netns exec.
func (l *lab) daemon(argv ...string) *exec.Cmd {
	l.t.Helper()
	c := exec.Command(argv[0], argv[1:]...)
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	log, err := os.Create(l.file(fmt.Sprintf("daemon%d.log", len(l.daemons))))
	if err != nil {
		l.t.Fatal(err)
	}
	defer log.Close()
	c.Stdout, c.Stderr = log, log
	if err := c.Start(); err != nil {
		l.t.Fatal(err)
	}
	l.daemons = append(l.daemons, c)
	return c
}

func (l *lab) inNode(argv ...string) []string {
	return append([]string{"ip", "netns", "exec", l.ns}, argv...)
}

const config = `[global]
fsid = 5b2ee1a0-0e5a-4b1c-9d1c-6f7d9a3c2b10
mon host = [v2:OURS:3300,v1:OURS:6789]
mon initial members = a
auth cluster required = cephx
auth service required = cephx
auth client required = cephx
auth allow insecure global id reclaim = false
osd pool default size = 2
osd pool default min size = 1
osd pool default pg autoscale mode = off
osd pool default pg num = 32
crush location = root=default host=node$id
osd objectstore = memstore
memstore device bytes = 536870912
public network = 10.231.0.0/16
run dir = DIR
pid file = DIR/$type.$id.pid
admin socket = DIR/$name.asok
log file = DIR/$name.log
keyring = DIR/admin.keyring
mon data = DIR/mon
osd data = DIR/osd$id
rbd cache = false
`

func (l *lab) start(options string) {
	conf := l.file("ceph.conf")
	l.write("ceph.conf", strings.NewReplacer("OURS", l.ours, "DIR", l.dir).Replace(config)+options)
	ring := l.file("admin.keyring")
	l.run("ceph-authtool", "--create-keyring", ring, "--gen-key", "-n", "mon.", "--cap", "mon", "allow *")
	l.run("ceph-authtool", ring, "--gen-key", "-n", "client.admin", "--cap", "mon", "allow *", "--cap", "osd", "allow *")
	for i := range 3 {
		l.run("ceph-authtool", ring, "--gen-key", "-n", fmt.Sprintf("osd.%d", i), "--cap", "mon", "allow profile osd", "--cap", "osd", "allow *")
	}
	l.run("monmaptool", "--create", "--addv", "a", fmt.Sprintf("[v2:%s:3300,v1:%s:6789]", l.ours, l.ours), "--fsid", "5b2ee1a0-0e5a-4b1c-9d1c-6f7d9a3c2b10", l.file("monmap"))
	l.run("ceph-mon", "-c", conf, "--mkfs", "-i", "a", "--monmap", l.file("monmap"), "--keyring", ring)
	l.daemon("ceph-mon", "-c", conf, "-i", "a", "-f")
	for i := range 3 {
		id := strconv.Itoa(i)
		uuid := "0f7d9a3c-0e5a-4b1c-9d1c-6f7d9a3c2b0" + id
		l.ceph("osd", "new", uuid, id)
		if err := os.Mkdir(l.file("osd"+id), 0o700); err != nil {
			l.t.Fatal(err)
		}
		l.run("ceph-osd", "-c", conf, "-i", id, "--mkfs", "--osd-uuid", uuid, "--keyring", ring)
		// Each says its address: of its own choice it might take that of another lab, which an ended test left behind.
		argv := []string{"ceph-osd", "-c", conf, "-i", id, "-f", "--public-addr", l.ours, "--cluster-addr", l.ours}
		if i == 2 {
			argv = l.inNode("ceph-osd", "-c", conf, "-i", id, "-f", "--public-addr", l.node, "--cluster-addr", l.node)
		}
		l.osds = append(l.osds, l.daemon(argv...))
	}
	l.ceph("osd", "pool", "create", "vms", "32")
	l.ceph("osd", "pool", "create", "data", "24")
	l.eventually(15*time.Second, "three OSDs up", func() bool {
		var m osdMap
		return json.Unmarshal([]byte(l.ceph("osd", "dump", "--format", "json")), &m) == nil && len(m.OSDs) == 3 && m.OSDs[0].Up+m.OSDs[1].Up+m.OSDs[2].Up == 3
	})
	for _, p := range []string{"vms", "data"} {
		l.run("rbd", "-c", conf, "pool", "init", p)
	}
	l.account("bascule", rights, osdRights())
}

// osdRights are those for all of the lab's pools.
func osdRights() string { return poolRights("vms") + ", " + poolRights("data") }

// account makes an account with exactly these rights.
func (l *lab) account(name, mon, osd string) {
	l.t.Helper()
	caps := []string{"mon", mon}
	if osd != "" {
		caps = append(caps, "osd", osd)
	}
	l.write(name+".keyring", l.ceph(append([]string{"auth", "get-or-create", "client." + name}, caps...)...))
}

// images makes images, given as POOL/NAME, in one process.
func (l *lab) images(names ...string) {
	l.t.Helper()
	l.run("/usr/bin/python3", append([]string{"-I", "-c", `
import rados, rbd, sys
c = rados.Rados(rados_id="admin", conffile=sys.argv[1]); c.connect()
for name in sys.argv[2:]:
    pool, name = name.split("/")
    rbd.RBD().create(c.open_ioctx(pool), name, 256 << 20)
`, l.file("ceph.conf")}, names...)...)
}

func (l *lab) ceph(args ...string) string {
	l.t.Helper()
	return l.run("ceph", append([]string{"-c", l.file("ceph.conf")}, args...)...)
}

func (l *lab) settings(more ...string) map[string]string {
	s := map[string]string{"storages": "ceph-vm,ceph-data", "pools": "vms,data", "conf": l.file("ceph.conf"), "keyring": l.file("bascule.keyring")}
	for i := 0; i+1 < len(more); i += 2 {
		s[more[i]] = more[i+1]
	}
	return s
}

func (l *lab) open(more ...string) *device {
	l.t.Helper()
	d, err := Method.Storage(l.settings(more...))
	if err != nil {
		l.t.Fatal(err)
	}
	return d.(*device)
}

func (l *lab) clients() []string { return []string{"ip:" + l.node} }

func (l *lab) eventually(limit time.Duration, what string, f func() bool) {
	l.t.Helper()
	for end := time.Now().Add(limit); !f(); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(end) {
			l.t.Fatalf("not within %v: %s", limit, what)
		}
	}
}
