package pvesim

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// How an answer is compared with a recorded one: status, HTTP reason, the keys, the type of every value, and every
// value itself, but for what is written here.

// mayDiffer are the keys whose values may differ (their types may not), with the reason.
var mayDiffer = map[string][]string{
	"measured on the machine": {"cpu", "mem", "memhost", "disk", "diskread", "diskwrite", "netin", "netout", "uptime", "loadavg", "wait", "idle", "used",
		"avail", "free", "available", "used_fraction", "total", "swap", "shared_pages"},
	"the size of the machine":        {"cpuinfo", "memory", "rootfs", "ksm", "current-kernel", "boot-info", "kversion", "cgroup-mode"},
	"made anew each time":            {"pid", "pstart", "starttime", "endtime", "digest", "ssl_fingerprint", "smbios1", "vmgenid", "pveversion", "snaptime"},
	"how many tasks there were":      {"n"},
	"addresses of the lab's network": {"ip", "ring0_addr"},
}

// mayDifferIn are values that differ in rows of one type, by the id's beginning: these are the machine's, not a guest's.
var mayDifferIn = map[string][]string{
	"node/":    {"maxmem", "maxcpu", "maxdisk"},
	"storage/": {"maxdisk"},
	"/pool/":   {"maxmem", "maxcpu"}, // of those guests that run
	"lxc/200":  {"maxdisk"},          // of a running container: of its mounted file system
	"200":      {"maxdisk"},
	"digest":   {"value"}, // in the list of pending values
	"smbios1":  {"value"},
}

// mayMiss are keys that may be missing or surplus, with the reason.
var mayMiss = map[string][]string{
	"of Proxmox's HA, whose manager does not run in the lab":   {"hastate"},
	"a running and a stopped guest differ in them by the case": {"pid"},
}

// others are keys that depend on what a guest or storage is like: they may miss in rows about one that the recording has not.
var others = []string{"tags", "pool", "lock", "serial", "template", "prune-backups", "path", "is_mountpoint", "shared", "nodes"}

// noise are lines of task logs that are no words of Proxmox: artefacts of the recording's lab (README.txt there), and
// what kvm, lxc and ssh wrote themselves.
var noise = []string{"is experimental at ", "command 'query-backup' failed", "kvm: ", "run_buffer: ", "lxc_init: ", "__lxc_start: "}

// normal replaces what differs from run to run within a text.
var normal = []struct {
	re *regexp.Regexp
	to string
}{
	{regexp.MustCompile(`UPID:([^:]+):[0-9A-F]{8}:[0-9A-F]{8}:[0-9A-F]{8}:`), "UPID:$1:<pid>:<pstart>:<start>:"},
	{regexp.MustCompile(`\b(10\.99\.0|127\.[0-9]+\.0)\.([0-9]+)\b`), "<net>.$2"},
	{regexp.MustCompile(`\b20[0-9]{2}-[0-9]{2}-[0-9]{2} [0-9:]{8} `), "<time> "},
	{regexp.MustCompile(`duration [0-9:]{8}`), "duration <time>"},
	{regexp.MustCompile(`\.tmp\.[0-9]+`), ".tmp.<pid>"},
	{regexp.MustCompile(`ctime=[0-9]+`), "ctime=<time>"},
}

func normalised(key, s string) string {
	if key == "content" {
		w := strings.Split(s, ",")
		slices.Sort(w) // random order
		s = strings.Join(w, ",")
	}
	for _, n := range normal {
		s = n.re.ReplaceAllString(s, n.to)
	}
	return s
}

// comparison is one case's: free are keys that may miss, surplus or differ in this case, with the reason at the case.
// typesOf are keys of which only the type is compared.
type comparison struct{ free, typesOf []string }

func listed(lists map[string][]string, key string) bool {
	for _, keys := range lists {
		if slices.Contains(keys, key) {
			return true
		}
	}
	return false
}

// diff lists the differences of two decoded JSON values. within is the id of the row that they stand in.
func (c comparison) diff(at, within string, got, want any) []string {
	key := at[strings.LastIndexByte(at, '/')+1:]
	if slices.Contains(c.free, key) {
		return nil
	}
	if kindOf(got) != kindOf(want) {
		return []string{fmt.Sprintf("%s is %s, recorded %s", at, kindOf(got), kindOf(want))}
	}
	switch want := want.(type) {
	case map[string]any:
		return c.object(at, within, got.(map[string]any), want, want)
	case []any:
		return c.list(at, within, got.([]any), want)
	}
	may := listed(mayDiffer, key) || slices.Contains(c.typesOf, key)
	for prefix, keys := range mayDifferIn {
		may = may || strings.HasPrefix(within, prefix) && slices.Contains(keys, key)
	}
	if may || equal(key, got, want) {
		return nil
	}
	return []string{fmt.Sprintf("%s is %v, recorded %v", at, got, want)}
}

func equal(key string, got, want any) bool {
	a, ok := got.(string)
	b, too := want.(string)
	if ok && too {
		return normalised(key, a) == normalised(key, b)
	}
	return got == want
}

// object compares with the keys that may be there and those that have to be.
func (c comparison) object(at, within string, got, may, need map[string]any) []string {
	var out []string
	if id := identity(may); id != "" {
		within = id
	}
	skip := func(k string) bool { return slices.Contains(c.free, k) || listed(mayMiss, k) }
	deep := !listed(mayDiffer, at[strings.LastIndexByte(at, '/')+1:])
	for k, v := range got {
		w, known := may[k]
		if !known && !skip(k) && deep {
			out = append(out, at+"/"+k+" is not in the recording")
		}
		if known && deep {
			out = append(out, c.diff(at+"/"+k, within, v, w)...)
		}
	}
	for k := range need {
		if _, has := got[k]; !has && !skip(k) && deep {
			out = append(out, at+"/"+k+" is missing")
		}
	}
	return out
}

// list compares rows by their identity; rows without one by what all recorded rows of their type have in common, and
// rows about something that the recording has not by their type's keys and types.
func (c comparison) list(at, within string, got, want []any) []string {
	if len(want) > 0 && kindOf(want[0]) != "object" {
		return c.scalars(at, within, got, want)
	}
	var out []string
	known, have := map[string]map[string]any{}, map[string]bool{}
	kinds := map[string][]map[string]any{}
	for _, w := range want {
		row := w.(map[string]any)
		known[identity(row)] = row
		kinds[rowType(row)] = append(kinds[rowType(row)], row)
	}
	for _, g := range got {
		row := g.(map[string]any)
		id := identity(row)
		have[id] = true
		if w, ok := known[id]; ok && id != "" {
			out = append(out, c.object(at+"["+id+"]", id, row, w, w)...)
		} else if same := kinds[rowType(row)]; len(same) > 0 {
			may, need := spread(same)
			types := comparison{free: c.free, typesOf: varying(same, id != "")}
			if id != "" {
				maps.DeleteFunc(need, func(k string, _ any) bool { return slices.Contains(others, k) })
			}
			out = append(out, types.object(at+"["+rowType(row)+"]", id, row, may, need)...)
		} else if id != "" && slices.Contains(c.free, "extra rows") {
			continue
		} else {
			out = append(out, fmt.Sprintf("%s has a row %s %q, the recording has none of its type", at, id, rowType(row)))
		}
	}
	for id := range known {
		if id != "" && !have[id] && !slices.Contains(c.free, "rows") {
			out = append(out, at+" has no row "+id)
		}
	}
	return out
}

// varying are the keys in which the recorded rows of a type differ from each other: of those only the type is compared.
// Rows about something that the recording has not (all) may differ in every key.
func varying(rows []map[string]any, all bool) []string {
	var out []string
	for key, first := range rows[0] {
		if all || slices.ContainsFunc(rows, func(r map[string]any) bool { v, ok := r[key]; return ok && !plainEqual(v, first) }) {
			out = append(out, key)
		}
	}
	for _, r := range rows[1:] {
		for key := range r {
			if _, ok := rows[0][key]; !ok {
				out = append(out, key)
			}
		}
	}
	return out
}

func plainEqual(a, b any) bool {
	kind := kindOf(a)
	return kind != "object" && kind != "list" && kind == kindOf(b) && a == b
}

// scalars compares lists of plain values in any order, and lists of pairs in theirs.
func (c comparison) scalars(at, within string, got, want []any) []string {
	key := at[strings.LastIndexByte(at, '/')+1:]
	text := func(list []any) string {
		var w []string
		for _, v := range list {
			w = append(w, fmt.Sprint(kindOf(v), " ", v))
			if listed(mayDiffer, key) {
				w[len(w)-1] = kindOf(v)
			}
		}
		if kindOf(list[0]) != "list" {
			slices.Sort(w)
		}
		return strings.Join(w, " | ")
	}
	if len(got) == 0 || text(got) != text(want) {
		return []string{fmt.Sprintf("%s is %v, recorded %v", at, got, want)}
	}
	return nil
}

// log compares the lines of a task's log without the noise.
func (c comparison) log(got, want []any) []string {
	lines := func(list []any) []string {
		var out []string
		for _, row := range list {
			text, _ := row.(map[string]any)["t"].(string)
			if !slices.ContainsFunc(noise, func(n string) bool { return strings.Contains(text, n) }) {
				out = append(out, normalised("t", text))
			}
		}
		return out
	}
	if a, b := lines(got), lines(want); !slices.Equal(a, b) {
		return []string{fmt.Sprintf("log\n\t%s\nrecorded\n\t%s", strings.Join(a, "\n\t"), strings.Join(b, "\n\t"))}
	}
	return nil
}

func spread(rows []map[string]any) (union, common map[string]any) {
	union, common = map[string]any{}, maps.Clone(rows[0])
	for _, r := range rows {
		maps.Copy(union, r)
	}
	for k := range common {
		for _, r := range rows {
			if _, has := r[k]; !has {
				delete(common, k)
			}
		}
	}
	return union, common
}

// identity is what a row of a list is about; "" for rows without a name of their own (tasks).
func identity(row map[string]any) string {
	if row["upid"] != nil {
		return ""
	}
	for _, key := range []string{"id", "sid", "vmid", "storage", "key", "rule", "node", "name", "poolid"} {
		if v, ok := row[key]; ok {
			return fmt.Sprint(v)
		}
	}
	return ""
}

func rowType(row map[string]any) string {
	if row["upid"] != nil {
		if row["endtime"] == nil {
			return "running task"
		}
		return "task" // its type and status are what was done and how it ended
	}
	kind, _ := row["type"].(string)
	status, _ := row["status"].(string)
	return kind + " " + status
}

func kindOf(v any) string {
	switch v.(type) {
	case nil:
		return "null"
	case string:
		return "string"
	case float64:
		return "number"
	case bool:
		return "bool"
	case []any:
		return "list"
	}
	return "object"
}
