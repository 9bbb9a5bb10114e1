package doctor

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"bascule/ha"
)

// configs: whether the members' configurations say the same where they must.
var configs = check{
	kinds: []Kind{
		{ID: "config-differs", Grades: []Severity{Warning, Critical, OK}, Title: "Members are configured differently",
			Why: "whoever leads acts by its own configuration: guests are protected, nodes fenced and waits counted differently from leader to leader. Different members or another cluster name mean that they do not count the same votes",
			Do:  "make basculed.yaml alike on all members but for node and bind_address (basculed check-config), then systemctl restart basculed, one node after the other"},
	},
	run: func(x *exam) {
		settings := map[string]bool{}
		compared := 0
		for _, f := range x.nodes() {
			if f.Config != nil {
				compared++
				for key := range f.Config.Common { //arch:unordered a set
					settings[key] = true
				}
			}
		}
		if compared < 2 {
			return
		}
		differ := false
		for _, key := range slices.Sorted(maps.Keys(settings)) {
			differ = x.compare(key) || differ
		}
		if !differ {
			x.add(Finding{ID: "config-differs", Severity: OK, Evidence: fmt.Sprintf("%d members say the same in all %d settings that must be alike", compared, len(settings))})
		}
	},
}

// compare says whether the members differ in one setting.
func (x *exam) compare(key string) bool {
	by := map[string][]ha.NodeName{}
	var values []string
	for _, f := range x.nodes() {
		if f.Config == nil {
			continue
		}
		v := f.Config.Common[key]
		if by[v] == nil {
			values = append(values, v)
		}
		by[v] = append(by[v], f.Node)
	}
	if len(values) < 2 {
		return false
	}
	var parts []string
	for _, v := range values {
		parts = append(parts, fmt.Sprintf("%s on %s", orNone(v), words(by[v])))
	}
	sev := Warning
	if key == "members" || key == "cluster" || key == "etcd.voters" {
		sev = Critical
	}
	x.add(Finding{ID: "config-differs", Severity: sev, Subject: "setting " + key, Evidence: strings.Join(parts, "; ")})
	return true
}

func orNone(s string) string {
	if s == "" {
		return "nothing"
	}
	return s
}
