package sbd

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"bascule/fencing"
)

// Method is fencing by a message on shared disks.
var Method = fencing.Method{
	Name:   "sbd",
	Keys:   keys,
	Poison: open,
}

// keys are the settings that the method knows.
var keys = []fencing.Key{
	{Name: "disks", Required: true, Doc: "one to three paths below /dev, separated by commas, the same disks that the node watches, such as /dev/disk/by-id/wwn-0x5000c500a1b2c3d4"},
	{Name: "slot", Required: true, Doc: "the node's name on the disks, as sbd list shows it: normally its host name"},
	{Name: "msgwait", Required: true, Doc: "how long after its message the node has ended: the disks' msgwait or more, such as 10s"},
}

const (
	maxDisks   = 3 // as many as sbd takes
	maxMsgWait = time.Hour
)

// settings are the parsed settings of one device.
type settings struct {
	disks   []string
	slot    string
	msgWait time.Duration
}

func open(raw map[string]string) (fencing.PoisonDevice, error) {
	s, err := parse(raw)
	if err != nil {
		return nil, err
	}
	return &device{settings: s, servants: servants{servantName}}, nil
}

func parse(raw map[string]string) (s settings, err error) {
	if err = fencing.CheckSettings(keys, raw); err != nil {
		return s, err
	}
	if s.disks, err = parseDisks(raw["disks"]); err != nil {
		return s, err
	}
	if s.slot = raw["slot"]; checkSlot(s.slot) != nil {
		return s, checkSlot(s.slot)
	}
	s.msgWait, err = time.ParseDuration(raw["msgwait"])
	if err != nil || s.msgWait < time.Second || s.msgWait > maxMsgWait {
		return s, fmt.Errorf(`%w: setting "msgwait" is %q: write a duration from 1s to %v, not shorter than the msgwait that sbd dump shows`, fencing.ErrSettings, raw["msgwait"], maxMsgWait)
	}
	return s, nil
}

func parseDisks(raw string) ([]string, error) {
	var disks []string
	for _, p := range strings.Split(raw, ",") {
		p = strings.TrimSpace(p)
		switch {
		case !isDiskPath(p) || filepath.Clean(p) != p:
			return nil, fmt.Errorf(`%w: setting "disks": %q is no path of a disk: write paths below /dev, separated by commas`, fencing.ErrSettings, p)
		case slices.Contains(disks, p):
			return nil, fmt.Errorf(`%w: setting "disks" names %s twice: write each disk once`, fencing.ErrSettings, p)
		}
		disks = append(disks, p)
	}
	if len(disks) > maxDisks {
		return nil, fmt.Errorf(`%w: setting "disks" names %d disks: write one, two or three`, fencing.ErrSettings, len(disks))
	}
	return disks, nil
}

// checkSlot refuses names that another tool would read as something else.
func checkSlot(name string) error {
	if name == "" || len(name) > nameMax || strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return fmt.Errorf(`%w: setting "slot" is %q: write the node's name, 1 to %d letters, digits and signs without spaces`, fencing.ErrSettings, name, nameMax)
	}
	return nil
}
