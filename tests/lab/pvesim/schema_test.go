package pvesim

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// What the simulator accepts is compared with Proxmox's own API schema, twice: parameters.txt with its text, and what
// the API then does with a good and with a bad value of every parameter.

// unchecked are parameters of which no bad value is tried, with the reason.
var unchecked = map[string]string{
	"node": "the proxying to that node comes first: see the recordings node_unknown_status and node_unknown_vm",
}

type schemaEntry struct {
	Path, Method string
	Parameters   struct {
		AdditionalProperties any
		Properties           map[string]map[string]any
	}
}

func apiSchema(t *testing.T) map[string]schemaEntry {
	t.Helper()
	file := filepath.Join(sharedDir(t), "api-9.1.json")
	data, err := os.ReadFile(file)
	if err != nil {
		t.Skipf("no API schema of Proxmox VE: %v (set BASCULE_SHARED to the directory that has pve/api-9.1.json)", err)
	}
	var all struct{ Endpoints []schemaEntry }
	if err := json.Unmarshal(data, &all); err != nil {
		t.Fatal(err)
	}
	out := map[string]schemaEntry{}
	for _, e := range all.Endpoints {
		out[e.Method+" "+e.Path] = e
	}
	return out
}

// word renders an attribute of the schema as parameters.txt does.
func word(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case []any:
		var words []string
		for _, w := range v {
			words = append(words, word(w))
		}
		return strings.Join(words, ",")
	case map[string]any:
		return "{}"
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	return fmt.Sprint(v)
}

// tableDifferences compares one line of parameters.txt with the schema.
func tableDifferences(p param, want map[string]any) []string {
	var out []string
	differ := func(what, got, want string) {
		if got != want {
			out = append(out, fmt.Sprintf("%s is %q, the schema has %q", what, got, want))
		}
	}
	format, required := word(want["format"]), "1"
	if p.format == "pve-qm-memory" {
		format = p.format // a property string; this one is modelled
	}
	if p.required {
		required = ""
	}
	maxLen := ""
	if p.maxLen > 0 {
		maxLen = strconv.Itoa(p.maxLen)
	}
	differ("type", p.kind, word(want["type"]))
	differ("optional", required, word(want["optional"]))
	differ("format", p.format, format)
	differ("enum", strings.Join(p.enum, ","), word(want["enum"]))
	differ("minimum", p.min, word(want["minimum"]))
	differ("maximum", p.max, word(want["maximum"]))
	differ("maxLength", maxLen, word(want["maxLength"]))
	differ("pattern", p.pattern, word(want["pattern"]))
	differ("requires", p.requires, word(want["requires"]))
	differ("only for root", strconv.FormatBool(p.root), strconv.FormatBool(strings.Contains(strings.ToLower(word(want["description"])), "only root")))
	if p.format != "" && formats[p.format] == nil && !p.unmodelled {
		out = append(out, "format "+p.format+" is not checked: it must be unmodelled")
	}
	return out
}

func TestSchema(t *testing.T) {
	lab := recordedLab(t, nil)
	checked := lab.compareSchema(apiSchema(t))
	conformance.Lock()
	conformance.schemaChecked = checked
	conformance.Unlock()
}

// compareSchema goes through every route and every parameter of it, and returns how many parameters it compared.
func (l *testLab) compareSchema(schemas map[string]schemaEntry) (checked int) {
	t := l.t
	routes := []string{"POST /access/ticket"}
	for _, e := range endpoints {
		routes = append(routes, e.method+" "+e.path)
	}
	slices.Sort(routes)
	if got := slices.Sorted(maps.Keys(parameters)); !slices.Equal(got, routes) {
		t.Errorf("parameters.txt has the routes\n%v\nthe router\n%v", got, routes)
	}
	for _, route := range routes {
		want, ok := schemas[route]
		if !ok {
			t.Errorf("%s: the schema has no such call", route)
			continue
		}
		table := parameters[route]
		for name := range table {
			if want.Parameters.Properties[name] == nil {
				t.Errorf("%s: parameter %s is not in the schema", route, name)
			}
		}
		for _, name := range slices.Sorted(maps.Keys(want.Parameters.Properties)) {
			p, known := table[name]
			if !known {
				t.Errorf("%s: parameter %s is missing", route, name)
				continue
			}
			for _, d := range tableDifferences(p, want.Parameters.Properties[name]) {
				t.Errorf("%s %s: %s", route, name, d)
			}
			l.tryParameter(route, name, p)
			checked++
		}
		if errs := l.try(route, url.Values{"bogus": {"1"}}, l.ticket()); !strings.HasPrefix(errs["bogus"], "property is not defined in schema") {
			t.Errorf("%s: an unknown parameter: %q", route, errs["bogus"])
		}
	}
	return checked
}

// tryParameter sends a good value and, where there is one, a bad value of a parameter.
func (l *testLab) tryParameter(route, name string, p param) {
	t := l.t
	inPath := strings.Contains(route, "{"+name+"}")
	real := strings.Replace(name, "[n]", "0", 1)
	good := goodValue(p)
	form := url.Values{real: {good}}
	if p.requires != "" {
		if errs := l.try(route, form, l.ticket()); errs[p.requires] != "missing property - '"+real+"' requires this property" {
			t.Errorf("%s: %s without %s: %q", route, real, p.requires, errs[p.requires])
		}
		form.Set(p.requires, goodValue(parameters[route][p.requires]))
	}
	if !inPath {
		if errs := l.try(route, form, l.ticket()); errs[real] != "" {
			t.Errorf("%s: %s=%q is refused: %s", route, real, good, errs[real])
		}
	}
	if p.required && !inPath {
		if errs := l.try(route, url.Values{}, l.ticket()); errs[real] != "property is missing and it is not optional" {
			t.Errorf("%s without %s: %q", route, real, errs[real])
		}
	}
	if p.root {
		if errs := l.try(route, form, as("ha@pve!all", "all")); errs[real] != "Only root may use this option." {
			t.Errorf("%s: a token gives %s: %q", route, real, errs[real])
		}
	}
	bad, want := badValue(real, p)
	if bad == "" || unchecked[name] != "" || p.unmodelled && p.format != "" {
		return
	}
	if inPath {
		route = strings.Replace(route, "{"+name+"}", url.PathEscape(bad), 1)
		form = url.Values{}
	} else {
		form = url.Values{real: {bad}}
	}
	if errs := l.try(route, form, l.ticket()); !strings.HasPrefix(errs[real], want) {
		t.Errorf("%s: %s=%q: %q, want %q", route, real, bad, errs[real], want)
	}
}

// try calls a route of a guest and of a task that do not exist, and returns the parameters that the answer complains
// about. The calls' other required parameters are filled in.
func (l *testLab) try(route string, form url.Values, header http.Header) map[string]string {
	l.t.Helper()
	method, path, _ := strings.Cut(route, " ")
	for name, value := range map[string]string{"node": "n1", "vmid": "999", "upid": "UPID:n1:0000DEAD:00081234:6B021298:qmstart:100:root@pam:",
		"storage": "shared", "poolid": "ha", "sid": "vm:999"} {
		path = strings.ReplaceAll(path, "{"+name+"}", value)
	}
	for name, p := range parameters[route] {
		if _, given := form[name]; p.required && !given && len(form) > 0 && !strings.Contains(route, "{"+name+"}") {
			form.Set(name, goodValue(p))
		}
	}
	if method == "GET" || method == "DELETE" {
		path, form = path+"?"+form.Encode(), nil
	}
	r, err := l.call("n1", header, method, path, form)
	if err != nil {
		l.t.Fatalf("%s %v: %v", route, form, err)
	}
	out := map[string]string{}
	if errs, ok := r.body["errors"].(map[string]any); ok {
		if r.status != 400 || r.reason != "Parameter verification failed." {
			l.t.Errorf("%s %v: complaints with %d %q", route, form, r.status, r.reason)
		}
		for name, what := range errs {
			out[name] = what.(string)
		}
	}
	return out
}

// TestLimits: numbers beyond their limits, and the order of the checks.
func TestLimits(t *testing.T) {
	for _, tt := range []struct{ route, name, value, want string }{
		{"PUT /nodes/{node}/qemu/{vmid}/config", "cores", "0", "value must have a minimum value of 1"}, // vm_create_bad_params
		{"PUT /nodes/{node}/qemu/{vmid}/config", "cpulimit", "129", "value must have a maximum value of 128"},
		{"PUT /nodes/{node}/qemu/{vmid}/config", "cpulimit", "1.5", ""},
		{"PUT /nodes/{node}/qemu/{vmid}/config", "memory", "lots", "invalid format - format error\nmemory.current: type check ('integer') failed - got 'lots'\n"}, // vm_create_bad_params
		{"PUT /nodes/{node}/qemu/{vmid}/config", "memory", "8", "invalid format - format error\nmemory.current: value must have a minimum value of 16\n"},
		{"PUT /nodes/{node}/qemu/{vmid}/config", "memory", "curent=64", "invalid format - invalid key in comma-separated list property: curent\n"},
		{"PUT /nodes/{node}/lxc/{vmid}/config", "memory", "8", "value must have a minimum value of 16"},
		{"GET /nodes/{node}/tasks", "limit", "-1", "value must have a minimum value of 0"},
		{"GET /nodes/{node}/tasks", "vmid", "50", "invalid format - value does not look like a valid VM ID\n"}, // vm_start_vmid_too_small
		{"GET /nodes/{node}/tasks", "vmid", "1000000000", "invalid format - value does not look like a valid VM ID\n"},
		{"POST /nodes/{node}/lxc/{vmid}/migrate", "bwlimit", "1e3", ""},
		{"POST /nodes/{node}/qemu/{vmid}/migrate", "migration_network", "10.0.0.0/4", "invalid format - value does not look like a valid CIDR network\n"},
		{"POST /nodes/{node}/qemu/{vmid}/migrate", "targetstorage", "1", ""},
		{"PUT /nodes/{node}/qemu/{vmid}/config", "startup", "first", "invalid format - unable to parse startup options\n"},
		{"PUT /nodes/{node}/qemu/{vmid}/config", "name", "web_1", "invalid format - value does not look like a valid DNS name\n"},
	} {
		p, ok := parameters[tt.route].find(tt.name)
		if got := p.verify(tt.name, tt.value); !ok || got != tt.want {
			t.Errorf("%s %s=%q: %q, want %q", tt.route, tt.name, tt.value, got, tt.want)
		}
	}
}

// TestWhatTheLabCannotDoIsSaid: a parameter without a model is never silently accepted, nor is a second value for one
// of the path.
func TestWhatTheLabCannotDoIsSaid(t *testing.T) {
	lab := newGuestLab(t, 1, nil)
	r, err := lab.call("n1", lab.ticket(), "PUT", vm100+"/config", url.Values{"net0": {"virtio,bridge=vmbr0"}})
	if err != nil || r.status != 500 || r.reason != "pvesim: the lab has no model of parameter 'net0'" {
		t.Errorf("net0: %d %s %v", r.status, r.reason, err)
	}
	r = lab.do("n1", "GET", vm100+"/config?vmid=101", nil)
	errs, _ := r.body["errors"].(map[string]any)
	if r.status != 400 || errs["vmid"] != "duplicate parameter (already defined in URI) with conflicting values!" {
		t.Errorf("vmid twice: %d %s", r.status, r.raw)
	}
	if r := lab.do("n1", "GET", vm100+"/config?vmid=100", nil); r.status != 200 {
		t.Errorf("the same vmid twice: %d %s", r.status, r.reason)
	}
}
