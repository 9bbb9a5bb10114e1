package main

import (
	"context"
	"fmt"
	"strings"

	"bascule/config"
	"bascule/fencing/sbd"
	"bascule/ha/guard"
	"bascule/ha/node"
)

// sbdSlot is this node's slot on the disks of an sbd device of its own, for the guard.
type sbdSlot struct {
	device string
	config sbd.Config
}

// slots are the slots that the guard watches: those of all sbd devices that fence this node. A device whose settings are wrong is left
// out and told in problems: basculed refuses it, and the guard comes up all the same.
func slots(own []config.Device) (out []guard.Slot, problems []string) {
	for _, d := range own {
		if d.Method != sbd.Method.Name {
			continue
		}
		c, err := sbd.Watched(d.Settings)
		if err != nil {
			problems = append(problems, fmt.Sprintf("%v: this node's slot is not watched, so a message there does not end it", d.Problem("settings", err)))
			continue
		}
		out = append(out, sbdSlot{d.Name, c})
	}
	return out, problems
}

func (s sbdSlot) Device() string { return s.device }

// Watch is sbd's, in the guard's words.
func (s sbdSlot) Watch(ctx context.Context, fresh bool, report func(guard.Sight)) error {
	c := s.config
	c.Fresh = fresh
	return sbd.Watch(ctx, c, guard.Boottime, func(v sbd.Verdict, notices []sbd.Notice) { report(sight(c, v, notices)) })
}

// ends says how a message ends the node. A message that this table lacks is never reported by the watch.
var ends = map[sbd.Command]node.NodeEnd{sbd.Off: node.EndOff, sbd.Reset: node.EndReset, sbd.Crashdump: node.EndCrash}

func sight(c sbd.Config, v sbd.Verdict, notices []sbd.Notice) guard.Sight {
	out := guard.Sight{Until: v.Until}
	var wrong []string
	for i, p := range v.Problems {
		if p != "" {
			wrong = append(wrong, c.Disks[i]+": "+p)
		}
	}
	out.Problem = strings.Join(wrong, "; ")
	if m := v.Poisoned; m != nil {
		out.Message, out.From = ends[m.Command], m.From
	}
	for _, n := range notices {
		out.Notes = append(out.Notes, c.Disks[n.Disk]+": "+n.Text)
	}
	return out
}
