package lab

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
)

// labConfig is the shape that config/ parses; unknown fields fail the test.
type labConfig struct {
	Cluster string `yaml:"cluster"`
	Node    string `yaml:"node"`
	Role    string `yaml:"role"`
	DataDir string `yaml:"data_dir"`
	RunDir  string `yaml:"run_dir"`
	Timing  struct {
		Profile  string `yaml:"profile"`
		KillTime string `yaml:"kill_time"`
	} `yaml:"timing"`
	Members []struct {
		Name    string `yaml:"name"`
		Address string `yaml:"address"`
		Witness bool   `yaml:"witness"`
	} `yaml:"members"`
	Bind string `yaml:"bind_address"`
	TLS  struct {
		CA   string `yaml:"ca_file"`
		Cert string `yaml:"cert_file"`
		Key  string `yaml:"key_file"`
	} `yaml:"tls"`
	Gossip struct {
		Port    int    `yaml:"port"`
		Keyring string `yaml:"keyring_file"`
	} `yaml:"gossip"`
	Etcd struct {
		Peer   int `yaml:"peer_port"`
		Client int `yaml:"client_port"`
	} `yaml:"etcd"`
	API struct {
		Port   int    `yaml:"port"`
		Socket string `yaml:"socket"`
	} `yaml:"api"`
	Guard struct {
		Socket   string `yaml:"socket"`
		Watchdog struct {
			Driver  string `yaml:"driver"`
			Device  string `yaml:"device"`
			Timeout string `yaml:"timeout"`
		} `yaml:"watchdog"`
	} `yaml:"guard"`
	Proxmox struct {
		URL        string `yaml:"url"`
		ServerName string `yaml:"server_name"`
		CA         string `yaml:"ca_file"`
		TokenID    string `yaml:"token_id"`
		Token      string `yaml:"token_file"`
		Root       string `yaml:"root"`
	} `yaml:"proxmox"`
	Protect struct {
		Tags []string `yaml:"tags"`
	} `yaml:"protect"`
	Fencing *struct {
		Devices []struct {
			Name     string            `yaml:"name"`
			Node     string            `yaml:"node"`
			Method   string            `yaml:"method"`
			Settings map[string]string `yaml:"settings"`
		} `yaml:"devices"`
	} `yaml:"fencing"`
	Alerts struct {
		Command []string `yaml:"command"`
		Webhook string   `yaml:"webhook_url_file"`
	} `yaml:"alerts"`
	Log struct {
		Level  string `yaml:"level"`
		Format string `yaml:"format"`
	} `yaml:"log"`
}

func TestPreparedNode(t *testing.T) {
	dir := t.TempDir() + "/a lab: #1" // a path that needs quoting
	o := Options{Dir: dir, Octet: 77, Nodes: 3, Guests: 4, Timing: "fast", Fencing: "redfish", Watchdog: "lab"}
	must(t, os.MkdirAll(dir, 0o755))
	s, err := prepare(o)
	must(t, err)
	l := o.layout()
	c := parsedConfig(t, readText(l.Node("node2", "basculed.yaml")))
	if c.Node != "node2" || c.Bind != "127.77.0.2" || c.Members[2].Address != "127.77.1.3" || c.Timing.Profile != "fast" || c.Timing.KillTime != "3s" || c.DataDir != dir+"/node2/data" {
		t.Errorf("%+v", c)
	}
	if diff := cmp.Diff("https://127.77.2.3:8443", c.Fencing.Devices[2].Settings["url"]); diff != "" {
		t.Error(diff)
	}
	for path, want := range map[string]string{
		c.Proxmox.Token: s.tokens["node2"],
		c.Fencing.Devices[0].Settings["password_file"]: s.bmcPassword,
		c.Gossip.Keyring: readText(l.Node("node1", "secrets/gossip.key")),
		c.TLS.CA:         strings.TrimSpace(string(s.ca.PEM())),
	} {
		if got := readText(path); got == "" || got != want {
			t.Errorf("%s does not hold what it should", path)
		}
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", path, info.Mode(), err)
		}
	}
	for _, path := range []string{c.TLS.Cert, c.TLS.Key} {
		if readText(path) == "" {
			t.Errorf("%s is missing", path)
		}
	}
	for _, name := range []string{c.API.Socket, c.Guard.Socket} {
		if !strings.HasPrefix(name, c.RunDir+"/") {
			t.Errorf("%s is not under %s", name, c.RunDir)
		}
	}
	o.Watchdog = "none"
	text, err := o.config("node1")
	if err != nil || !strings.Contains(string(text), "driver: none\n") || strings.Contains(string(text), "watchdog.sock") {
		t.Errorf("without a watchdog: %v\n%s", err, text)
	}
}

func parsedConfig(t *testing.T, text string) (c labConfig) {
	t.Helper()
	dec := yaml.NewDecoder(strings.NewReader(text))
	dec.KnownFields(true)
	must(t, dec.Decode(&c))
	return c
}

// The witness votes and has nothing else; nobody has a device to fence it by.
func TestWitnessOfALab(t *testing.T) {
	o := Options{Dir: "/lab", Octet: 77, Nodes: 2, Witness: true, Timing: "normal", Fencing: Redfish, Watchdog: "lab"}
	if diff := cmp.Diff([]string{"node1", "node2", WitnessName}, o.machines()); diff != "" {
		t.Error(diff)
	}
	text, err := o.config(WitnessName)
	must(t, err)
	c := parsedConfig(t, string(text))
	if c.Role != "witness" || c.Bind != "127.77.0.3" || c.Guard.Socket != "" || c.Proxmox.URL != "" || len(c.Fencing.Devices) != 2 {
		t.Errorf("the witness's configuration: %+v", c)
	}
	if text, err = o.config("node1"); err != nil {
		t.Fatal(err)
	}
	c = parsedConfig(t, string(text))
	if last := c.Members[2]; c.Role != "node" || last.Name != WitnessName || !last.Witness || last.Address != "127.77.1.3" || c.Members[0].Witness {
		t.Errorf("a node's configuration beside a witness: %+v", c)
	}
	o.Daemon = []Program{{Role: "guard"}, {Role: "basculed"}}
	if p := o.programs(WitnessName); len(p) != 1 || p[0].Role != "basculed" {
		t.Errorf("the witness runs %v", p)
	}
}

// Each way of fencing gives each node its device, or none at all.
func TestDevicesOfALab(t *testing.T) {
	for fencing, want := range map[string]map[string]string{
		IPMI:     {"method": IPMI, "address": "127.77.2.3:6623", "user": bmcUser, "password_file": "/lab/node1/secrets/bmc.password"},
		SBD:      {"method": SBD, "disks": "/lab/storage/shared.sbd", "slot": "node3", "msgwait": "10s"},
		Watchdog: nil,
	} {
		text, err := Options{Dir: "/lab", Octet: 77, Nodes: 3, Timing: "normal", Fencing: fencing, Watchdog: "lab"}.config("node1")
		must(t, err)
		c := parsedConfig(t, string(text))
		if c.Guard.Watchdog.Driver != "lab" {
			t.Errorf("%s: %+v", fencing, c.Guard)
		}
		if want == nil {
			if c.Fencing != nil {
				t.Errorf("%s: %+v", fencing, c.Fencing)
			}
			continue
		}
		d := c.Fencing.Devices[2]
		got := map[string]string{"method": d.Method}
		for k, v := range d.Settings {
			got[k] = v
		}
		if diff := cmp.Diff(want, got); diff != "" || d.Node != "node3" || len(c.Fencing.Devices) != 3 {
			t.Errorf("%s: %s\n%s", fencing, diff, text)
		}
	}
}

// The lab's message must be a proof, and one that comes before the watchdog's own.
func TestSBDTimings(t *testing.T) {
	for _, profile := range []string{"fast", "normal", "patient"} {
		timing, err := Options{Fencing: SBD, Timing: profile}.Timings()
		must(t, err)
		must(t, timing.Check())
		if MsgWait < timing.MinMsgWait() || timing.SelfFence() < MsgWait+2*time.Second {
			t.Errorf("%s: msgwait %v, at least %v; W %v", profile, MsgWait, timing.MinMsgWait(), timing.SelfFence())
		}
	}
}

func TestBootGivesANewIncarnationAndAnEmptyRun(t *testing.T) {
	l := Layout{Dir: t.TempDir()}
	must(t, os.MkdirAll(l.Node("node1", "root/run/qemu-server"), 0o755))
	must(t, os.WriteFile(l.Node("node1", "root/run/qemu-server/101.pid"), []byte("1"), 0o644))
	first, err := newBoot(l, "node1")
	must(t, err)
	second, err := newBoot(l, "node1")
	must(t, err)
	if first == second || readText(l.Node("node1", "boot_id")) != second {
		t.Errorf("boots %s and %s, file %s", first, second, readText(l.Node("node1", "boot_id")))
	}
	if _, err := os.Stat(l.Node("node1", "root/run/qemu-server")); !os.IsNotExist(err) {
		t.Errorf("/run survived the boot: %v", err)
	}
}

func TestGuestsOfALab(t *testing.T) {
	o := Options{Nodes: 3, Guests: 6, Unprotected: true}
	if diff := cmp.Diff([]int{101, 201, 102, 202, 103, 203}, o.GuestIDs()); diff != "" {
		t.Error(diff)
	}
	perNode := map[string]int{}
	for _, g := range guests(o) {
		perNode[g.Node]++
		if g.Memory < 512 || g.Memory > 2048 {
			t.Errorf("guest %d has %d MiB", g.VMID, g.Memory)
		}
	}
	if diff := cmp.Diff(map[string]int{"node1": 3, "node2": 2, "node3": 2}, perNode); diff != "" {
		t.Error(diff)
	}
}

func TestOptionsAreChecked(t *testing.T) {
	good := Options{Dir: t.TempDir(), Daemon: []Program{}}
	if _, err := good.withDefaults(); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Options){
		"nodes": func(o *Options) { o.Nodes = MaxNodes + 1 }, "guests": func(o *Options) { o.Guests = MaxGuests + 1 },
		"corosync": func(o *Options) { o.Corosync = "fast" }, "timing": func(o *Options) { o.Timing = "slow" },
		"fencing": func(o *Options) { o.Fencing = "none" }, "octet": func(o *Options) { o.Octet = 300 },
		"a vote of nobody": func(o *Options) { o.QDevice = true },
		"depth":            func(o *Options) { o.Dir += strings.Repeat("/very-deep", 10) },
		"no daemon":        func(o *Options) { o.Daemon, o.Bin = nil, t.TempDir() },
	} {
		o := good
		change(&o)
		if _, err := o.withDefaults(); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
