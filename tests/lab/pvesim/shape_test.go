package pvesim

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// optional are keys that depend on what exists rather than on the call.
var optional = []string{"tags", "pool", "lock", "serial", "template", "tokenid", "pid", "hastate", "ha", "description", "onboot", "total",
	"net0", "mp0", "smbios1", "prune-backups", "path", "is_mountpoint", "shared", "used_fraction", "vmgenid", "meta", "vga", "serial0", "kvm", "ostype"}

// differences compares the types of two decoded JSON values. Of lists, rows of the same type are compared with the
// union (what may be there) and the intersection (what must be there) of the recorded rows.
func differences(at string, got, want any, free []string) []string {
	if kindOf(got) != kindOf(want) {
		return []string{fmt.Sprintf("%s is %s, recorded %s", at, kindOf(got), kindOf(want))}
	}
	var out []string
	switch want := want.(type) {
	case map[string]any:
		got := got.(map[string]any)
		if at == "/data" && len(want) > 0 && strings.HasPrefix(slices.Sorted(maps.Keys(want))[0], "/") {
			return nil // permissions: keys are paths
		}
		out = append(out, compareKeys(at, got, want, want, free)...)
	case []any:
		rows := map[string][]map[string]any{}
		for _, w := range want {
			if row, ok := w.(map[string]any); ok {
				rows[rowType(row)] = append(rows[rowType(row)], row)
			}
		}
		for _, g := range got.([]any) {
			row, ok := g.(map[string]any)
			if !ok || len(rows[rowType(row)]) == 0 {
				continue
			}
			may, need := spread(rows[rowType(row)])
			out = append(out, compareKeys(at+"["+rowType(row)+"]", row, may, need, free)...)
		}
	}
	return out
}

func compareKeys(at string, got, may, need map[string]any, free []string) []string {
	var out []string
	skip := func(k string) bool { return slices.Contains(optional, k) || slices.Contains(free, k) }
	for k, v := range got {
		w, known := may[k]
		if !known && !skip(k) {
			out = append(out, at+"/"+k+" is not in the recording")
		}
		if known {
			out = append(out, differences(at+"/"+k, v, w, free)...)
		}
	}
	for k := range need {
		if _, has := got[k]; !has && !skip(k) {
			out = append(out, at+"/"+k+" is missing")
		}
	}
	return out
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

func rowType(row map[string]any) string {
	kind, _ := row["type"].(string)
	status, _ := row["status"].(string)
	if row["upid"] != nil {
		return "task" // its type and status are what was done and how it ended
	}
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
