package peer

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

// folder writes a scenario's files.
func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "own")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// three are three nodes that are off.
const three = `{"n1": {"power": "off", "network": "off"}, "n2": {"power": "off", "network": "off"}, "n3": {"power": "off", "network": "off", "maxmem": 1073741824}}`

func TestLoad(t *testing.T) {
	s, err := Load(folder(t, map[string]string{
		"cmdlist":              `[["power n1 on", "delay 7"], [], ["service vm:9 add n2 stopped 0"]]`,
		"hardware_status":      three,
		"service_config":       `{"vm:7": {"node": "n1", "state": "enabled", "max_restart": "3", "group": "g"}, "ct:8": {"node": "n2", "failback": 0, "max_relocate": 2, "lock": "backup"}}`,
		"groups":               "group: g\n\tnodes n1:2,n2\n\trestricted 1\n\tnofailback 1\n\ngroup: unused\n\tnodes n3\n",
		"rules_config":         "resource-affinity: r\n    resources vm:7, ct:8\n    affinity negative\n\nnode-affinity: off\n\tnodes n1\n\tresources vm:7\n\tdisable\n",
		"datacenter.cfg":       `{"ha": {"shutdown_policy": "freeze"}, "crs": {"ha": "static", "ha-rebalance-on-start": 1}}`,
		"static_service_stats": `{"vm:7": {"maxcpu": 2, "maxmem": 5000}}`,
		"expected.json":        `{"guests": {"vm:7": {"node": "n1", "state": null, "running_on": ["n1"]}}, "recovered_nodes": ["n2"]}`,
	}))
	if err != nil {
		t.Fatal(err)
	}
	if want := []Guest{
		{ID: "ct:8", Node: "n2", State: "disabled", MaxRestart: 1, MaxRelocate: 2, Lock: "backup", Memory: defaultMemory},
		{ID: "vm:7", Node: "n1", State: "started", MaxRestart: 3, MaxRelocate: 1, Failback: true, Memory: 5000},
		{ID: "vm:9", State: "started", MaxRestart: 1, MaxRelocate: 1, Failback: true, Memory: defaultMemory, Later: true},
	}; !reflect.DeepEqual(s.Guests, want) {
		t.Errorf("guests %+v, want %+v", s.Guests, want)
	}
	if want := []Rule{
		{Name: "g", Kind: "node", Nodes: map[string]int{"n1": 2, "n2": 0}, Guests: []string{"vm:7"}, Strict: true},
		{Name: "r", Kind: "apart", Guests: []string{"vm:7", "ct:8"}, Strict: true, Failback: true},
	}; !reflect.DeepEqual(s.Rules, want) {
		t.Errorf("rules %+v, want %+v", s.Rules, want)
	}
	if s.Name != "own" || s.Policy != "freeze" || s.Schedule != (Schedule{Mode: "static", RebalanceOnStart: true}) {
		t.Errorf("%q, policy %q, %+v", s.Name, s.Policy, s.Schedule)
	}
	if len(s.Nodes) != 3 || s.Nodes[0].Memory != nodeMemory || s.Nodes[2].Memory != gib || s.Nodes[2].On {
		t.Errorf("nodes %+v", s.Nodes)
	}
	if g := s.Expected.Guests["vm:7"]; g.State != nil || g.Node != "n1" || len(g.Running) != 1 || len(s.Expected.Recovered) != 1 {
		t.Errorf("expected %+v", s.Expected)
	}
	at, end := times(s.Steps)
	if want := []time.Duration{20 * time.Second, 107 * time.Second, 207 * time.Second}; !reflect.DeepEqual(at, want) || end != 707*time.Second {
		t.Errorf("steps at %v, end at %v", at, end)
	}
}

func TestLoadSaysWhatIsWrong(t *testing.T) {
	good := map[string]string{"cmdlist": `[]`, "hardware_status": three, "expected.json": `{}`}
	for name, bad := range map[string]string{"cmdlist": `[`, "hardware_status": "", "expected.json": `[]`, "rules_config": "node-parity: x\n", "service_config": `{"vm:1": {"max_restart": "x"}}`} {
		files := map[string]string{}
		for k, v := range good {
			files[k] = v
		}
		if files[name] = bad; bad == "" {
			delete(files, name)
		}
		if _, err := Load(folder(t, files)); err == nil || !strings.Contains(err.Error(), "own/"+name) {
			t.Errorf("%s: error %v does not name the file", name, err)
		}
	}
}

func TestParseCommand(t *testing.T) {
	for text, want := range map[string]Command{
		"power n1 on":                {Verb: "power on", Subject: "n1"},
		"network n2 off":             {Verb: "network off", Subject: "n2"},
		"delay 30":                   {Verb: "delay", Args: []string{"30"}},
		"shutdown n3":                {Verb: "shutdown", Subject: "n3"},
		"crm n1 disarm-ha freeze":    {Verb: "crm disarm-ha", Subject: "n1", Args: []string{"freeze"}},
		"service vm:7 migrate n2":    {Verb: "service migrate", Subject: "vm:7", Args: []string{"n2"}},
		"service vm:7 enabled":       {Verb: "service started", Subject: "vm:7", Args: []string{}},
		"service vm:7 add n1 stop 1": {Verb: "service add", Subject: "vm:7", Args: []string{"n1", "stop", "1"}},
		"wobble a b c":               {Verb: "wobble", Args: []string{"a", "b", "c"}},
		"":                           {},
	} {
		want.Text = text
		if got := ParseCommand(text); !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %+v, want %+v", text, got, want)
		}
	}
}

func TestFaultOf(t *testing.T) {
	for id, want := range map[string]Fault{
		"vm:130":    {},
		"fa:130":    {Starts: 3},
		"fa:120001": {Starts: 2, Where: "node1"},
		"fa:104":    {Migrations: 4},
		"fa:1001":   {NeverStops: true},
		"fa:10001":  {Missing: true},
		"fa:9":      {},
	} {
		if got := faultOf(id); got != want {
			t.Errorf("%s: %+v, want %+v", id, got, want)
		}
	}
}

func TestVMIDsAreApart(t *testing.T) {
	ids := vmids([]Guest{{ID: "ct:7"}, {ID: "fa:7"}, {ID: "vm:7"}, {ID: "vm:x"}, {ID: "vm:8"}})
	if ids["ct:7"] != 7 || ids["vm:8"] != 8 {
		t.Errorf("%v", ids)
	}
	seen := map[any]bool{}
	for _, id := range ids {
		seen[id] = true
	}
	if len(seen) != 5 {
		t.Errorf("two guests share a number: %v", ids)
	}
}
