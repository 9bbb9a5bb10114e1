package gather

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"bascule/config"
	"bascule/ha"
	"bascule/ha/pve"
	"bascule/ha/setup/doctor"
)

// bed is a node's configuration with its files, and the authority that made its certificate.
type bed struct {
	cfg  *config.Config
	dir  string
	cert tls.Certificate
}

// newBed loads the configuration of node1 of two members on loopback; nothing listens on node2's ports.
func newBed(t *testing.T) *bed {
	t.Helper()
	b := &bed{dir: t.TempDir()}
	b.makeCertificates(t)
	b.write(t, "gossip.keys", base64.StdEncoding.EncodeToString(make([]byte, 32)))
	b.write(t, "token", "secret")
	text := fmt.Sprintf(`cluster: lan
node: node1
data_dir: %[1]s/data
members:
  - {name: node1, address: 10.0.0.1}
  - {name: node2, address: 10.0.0.2}
tls: {ca_file: %[1]s/ca.pem, cert_file: %[1]s/cert.pem, key_file: %[1]s/key.pem}
gossip: {keyring_file: %[1]s/gossip.keys, port: %[2]d}
etcd: {peer_port: %[3]d, client_port: %[4]d}
api: {port: %[5]d}
proxmox: {token_file: %[1]s/token}
`, b.dir, closedPort(t), closedPort(t), closedPort(t), closedPort(t))
	b.write(t, "basculed.yaml", text)
	if err := os.Mkdir(filepath.Join(b.dir, "data"), 0o700); err != nil {
		t.Fatal(err)
	}
	var err error
	if b.cfg, err = config.Load(filepath.Join(b.dir, "basculed.yaml")); err != nil {
		t.Fatal(err)
	}
	b.cfg.BindAddress, b.cfg.Members[1].Address = "127.0.0.1", "127.0.0.1" // which no file may say
	return b
}

func (b *bed) write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(b.dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// makeCertificates writes a certificate that is its own authority, valid for a year.
func (b *bed) makeCertificates(t *testing.T) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "node1"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(365 * 24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv4(10, 99, 0, 2)}}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	keyPEM := pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: secret})
	b.write(t, "ca.pem", string(certPEM))
	b.write(t, "cert.pem", string(certPEM))
	b.write(t, "key.pem", string(keyPEM))
	if b.cert, err = tls.X509KeyPair(certPEM, keyPEM); err != nil {
		t.Fatal(err)
	}
}

// closedPort is a port on which nothing listens.
func closedPort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// listener accepts connections and hands each to serve; it ends with the test.
func listener(t *testing.T, serve func(net.Conn)) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go serve(c)
		}
	}()
	return l.Addr().(*net.TCPAddr).Port
}

func port(t *testing.T, f doctor.Facts, service, network string) doctor.Port {
	t.Helper()
	i := slices.IndexFunc(f.Ports, func(p doctor.Port) bool { return p.Service == service && p.Network == network })
	if i < 0 {
		t.Fatalf("%s/%s was not tried: %+v", service, network, f.Ports)
	}
	return f.Ports[i]
}

// TestFacts looks at this machine through a configuration of its own: what is there is found, what is not is said.
func TestFacts(t *testing.T) {
	b := newBed(t)
	b.cfg.API.Port = listener(t, func(c net.Conn) {
		s := tls.Server(c, &tls.Config{Certificates: []tls.Certificate{b.cert}})
		_ = s.Handshake() // a client that only opens the connection ends it
		s.Close()
	})
	root := t.TempDir()
	for name, text := range map[string]string{
		"usr/lib/systemd/system/pve-guests.service":                "[Unit]\n",
		"usr/lib/systemd/system/pve-guests.service.d/bascule.conf": "[Service]\nExecStartPre=/usr/sbin/basculed boot-check\n",
		"sys/class/watchdog/watchdog0/identity":                    "iTCO_wdt\n",
		"dev/watchdog0":                                            "",
		"sys/class/watchdog/watchdog0/nowayout":                    "1\n",
	} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(root, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	f := New(Source{Config: b.cfg, Root: root, Version: "1.0.0", HostReserve: 1,
		ReadPVE: func(_ context.Context, name string) ([]byte, error) {
			if name == "corosync.conf" {
				return []byte(realCorosync), nil
			}
			return nil, fs.ErrNotExist
		},
		Guard:     func(context.Context) (doctor.Guard, error) { return doctor.Guard{Phase: "permitted"}, nil },
		Token:     func(context.Context) (doctor.Token, error) { return doctor.Token{}, errors.New("no pveproxy") },
		Inventory: func(context.Context) (ha.Inventory, error) { return ha.Inventory{Memory: 5}, nil },
		Ping:      func(context.Context, ha.NodeName, string) (time.Duration, error) { return time.Millisecond, nil },
		Marks:     func(context.Context) []doctor.Marks { return []doctor.Marks{{Storage: "nas", Problem: "away"}} },
	}).Facts(t.Context())

	if f.Version != doctor.FactsVersion || f.Node != "node1" || f.Daemon != "1.0.0" || f.At.IsZero() || f.Guard.Phase != "permitted" || f.Inventory.Memory != 5 {
		t.Errorf("%+v", f)
	}
	if len(f.Silent) != 1 || f.Silent[0].Probe != "token" || f.Silent[0].Why != "no pveproxy" || f.Token != nil {
		t.Errorf("silent: %+v", f.Silent)
	}
	if len(f.Marks) != 1 || f.Marks[0].Problem != "away" {
		t.Errorf("marks: %+v", f.Marks)
	}
	if d := f.Disk; d == nil || d.Filesystem == "" || d.Mount == "" || d.Free <= 0 || d.Size < d.Free || len(d.Syncs) == 0 || !slices.IsSorted(d.Syncs) {
		t.Errorf("disk: %+v", d)
	}
	if left, _ := filepath.Glob(filepath.Join(b.dir, "data", ".*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	if len(f.Certificates) != 2 || f.Certificates[0].Problem != "" || f.Certificates[0].NotAfter.Before(time.Now()) {
		t.Errorf("certificates: %+v", f.Certificates)
	}
	if f.Interface == nil || f.Interface.MTU == 0 || f.Clock == nil || time.Since(f.Clock.Built) > 30*time.Minute { // its certificate is valid for an hour already, and was written just now
		t.Errorf("interface %+v, clock %+v", f.Interface, f.Clock)
	}
	if w := f.Watchdogs; len(w) != 1 || w[0].Identity != "iTCO_wdt" || w[0].Path != "/dev/watchdog0" || !w[0].NoWayOut {
		t.Errorf("watchdogs: %+v", w)
	}
	if c := f.BootCheck; c == nil || !c.PVEGuests || !strings.HasSuffix(c.DropIn, "bascule.conf") {
		t.Errorf("boot check: %+v", c)
	}
	if c := f.Corosync; c == nil || c.Votes != 3 {
		t.Errorf("corosync: %+v", c)
	}
	if p := port(t, f, doctor.API, "tcp"); p.Problem != "" || len(p.Trips) != portTrips || p.To != "node2" {
		t.Errorf("api: %+v", p)
	}
	if p := port(t, f, doctor.EtcdPeer, "tcp"); !strings.Contains(p.Problem, "refused") {
		t.Errorf("etcd: %+v", p)
	}
	if p := port(t, f, doctor.Gossip, "udp"); p.Problem != "" || len(p.Trips) != 1 {
		t.Errorf("gossip: %+v", p)
	}
	if v := f.Config.Common["timing"]; !strings.Contains(v, "profile normal") || len(f.Config.Voters) != 2 {
		t.Errorf("config: %+v", f.Config)
	}
}

// TestPortThatTakesAndDoesNotAnswer: a firewall that lets a connection open and no byte through is no open port.
func TestPortThatTakesAndDoesNotAnswer(t *testing.T) {
	hold := make(chan struct{})
	t.Cleanup(func() { close(hold) })
	b := newBed(t)
	b.cfg.API.Port = listener(t, func(c net.Conn) { <-hold; c.Close() })
	p := New(Source{Config: b.cfg}).try(t.Context(), doctor.Port{Service: doctor.API, Network: "tcp", Address: fmt.Sprintf("127.0.0.1:%d", b.cfg.API.Port)})
	if !strings.Contains(p.Problem, "no TLS handshake comes about") || p.Trips != nil {
		t.Errorf("%+v", p)
	}
}

// TestHungProbe: a probe that never comes back is a fact after its time, and is not begun a second time while it hangs.
func TestHungProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New(Source{})
		var begun atomic.Int32
		release := make(chan struct{})
		p := probe{"dead storage", 3 * time.Second, func(context.Context) (func(*doctor.Facts), error) {
			begun.Add(1)
			<-release
			return nil, nil
		}}
		if _, after, err := g.run(t.Context(), p); err == nil || !strings.Contains(err.Error(), "did not answer in 3s") || after != 3*time.Second {
			t.Fatalf("%v after %v", err, after)
		}
		time.Sleep(time.Minute)
		if _, after, err := g.run(t.Context(), p); err == nil || !strings.Contains(err.Error(), "still hangs") || after != time.Minute+3*time.Second || begun.Load() != 1 {
			t.Fatalf("%v after %v, begun %d times", err, after, begun.Load())
		}
		close(release)
		synctest.Wait()
		if _, _, err := g.run(t.Context(), p); err != nil || begun.Load() != 2 {
			t.Fatalf("%v, begun %d times", err, begun.Load())
		}
	})
}

// TestProbeHearsItsLimit: a look that minds its context is told when its time is over.
func TestProbeHearsItsLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, after, err := New(Source{}).run(t.Context(), probe{"slow", time.Second, func(ctx context.Context) (func(*doctor.Facts), error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}})
		if err == nil || after != time.Second {
			t.Fatalf("%v after %v", err, after)
		}
		synctest.Wait()
	})
}

func TestReadCertificate(t *testing.T) {
	b := &bed{dir: t.TempDir()}
	b.makeCertificates(t)
	b.write(t, "empty.pem", "nothing")
	b.write(t, "wrong.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
	for name, want := range map[string]string{"cert.pem": "", "gone.pem": "no such file", "empty.pem": "no certificate in it", "wrong.pem": "x509"} {
		c := readCertificate("node", filepath.Join(b.dir, name))
		if (c.Problem == "") != (want == "") || !strings.Contains(c.Problem, want) {
			t.Errorf("%s: %+v", name, c)
		}
	}
}

func TestRunsBootCheck(t *testing.T) {
	for unit, want := range map[string]bool{
		"[Service]\nExecStartPre=/usr/sbin/basculed boot-check --config x\n": true,
		"[Service]\n#ExecStartPre=/usr/sbin/basculed boot-check\n":           false,
		"[Service]\nExecStartPre=-/usr/sbin/basculed boot-check\n":           false, // its failure would be ignored
		"": false,
	} {
		if runsBootCheck(unit) != want {
			t.Errorf("%q", unit)
		}
	}
}

func TestMountOf(t *testing.T) {
	file := filepath.Join(t.TempDir(), "mountinfo")
	text := `22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 22 0:40 / /mnt/pve/nas rw - nfs4 10.0.9.1:/vm rw
31 22 8:17 / /mnt/with\040blank rw - xfs /dev/sdb1 rw
32 22 0:50 / /var/lib/bascule rw - tmpfs tmpfs rw
`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{"/var/lib/bascule": "tmpfs", "/var/lib/bascule/etcd": "tmpfs", "/var/lib/basculex": "ext4", "/mnt/pve/nas/images": "nfs4", "/mnt/with blank": "xfs", "/": "ext4"} {
		if m, err := mountOf(file, path); err != nil || m.kind != want {
			t.Errorf("%s: %+v, %v", path, m, err)
		}
	}
	if got := behind(mount{kind: "nfs4", source: "10.0.9.1:/vm"}, "m1"); got != "nfs4 10.0.9.1:/vm" {
		t.Error(got)
	}
	a, c := behind(mount{kind: "tmpfs", source: "tmpfs", device: "0:99"}, "m1"), behind(mount{kind: "tmpfs", source: "tmpfs", device: "0:99"}, "m2")
	if a == c {
		t.Error("the memory of two machines is not one storage: " + a)
	}
}

const realCorosync = `logging {
  debug: off
}
nodelist {
  node {
    name: node1
    nodeid: 1
    quorum_votes: 1
    ring0_addr: 10.0.0.1
    ring1_addr: 10.0.1.1
  }
  node {
    name: node2
    nodeid: 2
    quorum_votes: 2
    ring0_addr: 10.0.0.2
    ring1_addr: 10.0.1.2
  }
}
quorum {
  device {
    model: net
    net {
      algorithm: ffsplit
      host: 10.0.0.9
    }
    votes: 1
  }
  provider: corosync_votequorum
}
totem {
  interface {
    linknumber: 0
  }
  token: 1000
  token_coefficient: 125
  version: 2
}
`

func TestCorosyncFacts(t *testing.T) {
	parsed, err := pve.ParseCorosync([]byte(realCorosync))
	c := corosyncFacts(parsed)
	if err != nil || c.Votes != 3 || !slices.Equal(c.Nodes, []ha.NodeName{"node1", "node2"}) || c.QDevice != "10.0.0.9" || c.Token != time.Second || c.Coefficient != 125*time.Millisecond || c.TwoNode || c.Block != 2200*time.Millisecond {
		t.Errorf("%v: %+v", err, c)
	}
	if len(c.Links) != 2 || c.Links[1][1] != "10.0.1.2" {
		t.Errorf("links %v", c.Links)
	}
}

// TestLuns: a map with a failed path, a disk with one path only, a disk of the machine's own.
func TestLuns(t *testing.T) {
	root := t.TempDir()
	for name, text := range map[string]string{
		"sys/block/dm-3/dm/uuid":                                            "mpath-3600a\n",
		"sys/block/dm-3/slaves/sda/x":                                       "",
		"sys/block/dm-3/slaves/sdb/x":                                       "",
		"sys/block/dm-4/dm/uuid":                                            "LVM-" + strings.Repeat("g", 64) + "\n",
		"sys/block/dm-3/holders/dm-4/dm/uuid":                               "LVM-" + strings.Repeat("g", 64) + "\n",
		"sys/block/dm-3/holders/dm-4/dm/name":                               "san--vg-vm--101--disk--0\n",
		"sys/devices/platform/host1/session1/target/block/sda/device/state": "running\n",
		"sys/devices/platform/host2/session2/target/block/sdb/device/state": "offline\n",
		"sys/devices/platform/host3/session3/target/block/sdc/device/state": "running\n",
		"sys/devices/platform/host3/session3/target/block/sdc/device/wwid":  "naa.600b\n",
		"sys/devices/pci/ata1/block/sdd/device/state":                       "running\n",
	} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(root, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for disk, at := range map[string]string{"sda": "platform/host1/session1/target", "sdb": "platform/host2/session2/target", "sdc": "platform/host3/session3/target", "sdd": "pci/ata1"} {
		if err := os.Symlink("../devices/"+at+"/block/"+disk, filepath.Join(root, "sys/block", disk)); err != nil {
			t.Fatal(err)
		}
	}
	note, err := New(Source{Root: root}).luns(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var f doctor.Facts
	note(&f)
	want := []doctor.Lun{{WWN: "3600a", Device: "dm-3", Paths: 2, Active: 1, Groups: []string{"san-vg"}}, {WWN: "3600b", Device: "sdc", Paths: 1, Active: 1}}
	if !reflect.DeepEqual(f.Luns, want) {
		t.Errorf("%+v", f.Luns)
	}

	// Only LUNs below volume groups are asked, over a path that works.
	g := New(Source{Root: root, Reservations: func(_ context.Context, device string) (string, error) { return "asked " + device, nil }})
	if note, err = g.reservations(t.Context()); err != nil {
		t.Fatal(err)
	}
	if note(&f); !maps.Equal(f.Reservations, map[string]string{"3600a": "asked /dev/sda"}) {
		t.Errorf("%v", f.Reservations)
	}
	g = New(Source{Root: root, Reservations: func(context.Context, string) (string, error) { return "", errors.New("no such device") }})
	if note, err = g.reservations(t.Context()); err != nil {
		t.Fatal(err)
	}
	if note(&f); len(f.Reservations) != 0 {
		t.Errorf("%v", f.Reservations)
	}
}

func TestChronyTracks(t *testing.T) {
	for said, want := range map[string][2]bool{
		"C0A80001,192.168.0.1,3,1785767400.1,0.00001,0.00002,0.00003,-1.2,0.01,0.02,0.03,0.004,64.5,Normal\n": {true, true},
		"7F7F0101,,0,0.0,0.0,0.0,0.0,0.0,0.0,0.0,1.0,1.0,0.0,Not synchronised\n":                              {true, false},
		"506 Cannot talk to daemon\n": {false, false},
	} {
		if known, sync := chronyTracks(said); known != want[0] || sync != want[1] {
			t.Errorf("%q: %v %v", said, known, sync)
		}
	}
}

func TestGroupUUID(t *testing.T) {
	root := t.TempDir()
	uuid := strings.Repeat("g", 32)
	for dm, v := range map[string][2]string{"dm-0": {"san--vg-vm--101--disk--0", "LVM-" + uuid + strings.Repeat("v", 32)}, "dm-1": {"san-x", "LVM-" + strings.Repeat("o", 64)}, "dm-2": {"mpatha", "mpath-3600"}} {
		dir := filepath.Join(root, "sys/block", dm, "dm")
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		for i, name := range []string{"name", "uuid"} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(v[i]+"\n"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	if got := groupUUID(root, "san-vg"); got != "volume group "+uuid {
		t.Error(got)
	}
	if got := groupUUID(root, "mpatha"); got != "" {
		t.Error(got)
	}
}
