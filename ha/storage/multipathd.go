package storage

import (
	"context"
	"encoding/json"
	"os/exec"
	"path/filepath"

	"bascule/ha"
)

// multipathd asks the multipath daemon how many paths of these maps work; false: it does not say. Its checkers know more than the kernel,
// which calls a path running until somebody has tried to use it.
func (l *Looker) multipathd(ctx context.Context, devices []string) (worst *ha.PathCount, ok bool) {
	tool, err := exec.LookPath("multipathd")
	if err != nil {
		return nil, false
	}
	r := l.run(ctx, "multipathd", []string{tool, "show", "maps", "json"}, nil)
	if r.end != nil || r.late || r.notStarted != nil {
		return nil, false
	}
	return parseMaps(r.out, devices)
}

// parseMaps reads the answer of `multipathd show maps json`.
func parseMaps(data []byte, devices []string) (worst *ha.PathCount, ok bool) {
	var answer struct {
		Maps []struct {
			Sysfs  string `json:"sysfs"`
			Groups []struct {
				Paths []struct {
					State string `json:"dm_st"`
					Check string `json:"chk_st"`
				} `json:"paths"`
			} `json:"path_groups"`
		} `json:"maps"`
	}
	if json.Unmarshal(data, &answer) != nil {
		return nil, false
	}
	for _, d := range devices {
		for _, m := range answer.Maps {
			if m.Sysfs != filepath.Base(d) {
				continue
			}
			c := &ha.PathCount{}
			for _, g := range m.Groups {
				for _, p := range g.Paths {
					c.All++
					if p.State == "active" && (p.Check == "ready" || p.Check == "ghost") {
						c.Up++
					}
				}
			}
			worst, ok = fewest(worst, c), true
		}
	}
	return worst, ok
}

// fewest is the count with the fewest paths left.
func fewest(a, b *ha.PathCount) *ha.PathCount {
	if a == nil || b.Up < a.Up || b.Up == a.Up && b.All > a.All {
		return b
	}
	return a
}
