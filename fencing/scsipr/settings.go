package scsipr

import (
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"bascule/fencing"
)

// Method is fencing by SCSI-3 persistent reservations.
var Method = fencing.Method{Name: "scsi-pr", Keys: keys, Storage: open, Join: join}

// defaultState is where a node's Registrar keeps the key of this boot: it must not survive a reboot.
const defaultState = "/run/bascule/scsi-pr.json"

// keys are the settings that the method knows.
var keys = []fencing.Key{
	{Name: "luns", Required: true, Doc: "every LUN of the storages, with commas: /dev/disk/by-id/NAME, /dev/mapper/NAME or iscsi://HOST:PORT/IQN/LUN; several paths to one LUN with | between them"},
	{Name: "storages", Required: true, Doc: "the Proxmox storages that lie on these LUNs and on no others, with commas"},
	{Name: "abort", Doc: "if-supported (default), or required to refuse a target without PREEMPT AND ABORT"},
	{Name: "aptpl", Doc: "required (default), or if-supported to accept a target that forgets who was fenced when it loses power"},
	{Name: "state", Doc: "the file in which this node's basculed keeps its key (default " + defaultState + ")"},
}

// settings are the parsed settings of one device.
type settings struct {
	luns     []lun
	storages []string
	abort    bool // PREEMPT AND ABORT or nothing
	keep     bool // registrations must survive a power loss of the target
	state    string
}

// lun is one logical unit with the ways to it.
type lun struct {
	name  string // as it stands in the settings
	paths []path
}

// path is one way to a logical unit: a block device, or a target for the initiator in user space.
type path struct {
	name    string
	file    string
	address string // HOST:PORT of a portal
	target  string // its iqn
	unit    uint16
}

func open(raw map[string]string) (fencing.StorageDevice, error) {
	s, err := parse(raw)
	if err != nil {
		return nil, err
	}
	return &Device{s: s, connect: connect}, nil
}

func parse(raw map[string]string) (s settings, err error) {
	if err := fencing.CheckSettings(keys, raw); err != nil {
		return s, err
	}
	if s.luns, err = parseLUNs(raw["luns"]); err != nil {
		return s, err
	}
	if s.storages, err = parseStorages(raw["storages"]); err != nil {
		return s, err
	}
	if s.abort, err = demanded(raw, "abort", "if-supported"); err != nil {
		return s, err
	}
	if s.keep, err = demanded(raw, "aptpl", "required"); err != nil {
		return s, err
	}
	s.state = defaultState
	if v := raw["state"]; v != "" {
		s.state = v
	}
	if !filepath.IsAbs(s.state) {
		return s, fmt.Errorf(`%w: setting "state" is no absolute path: remove it, or write a file below /run`, fencing.ErrSettings)
	}
	return s, nil
}

// demanded reads a setting that is required or if-supported.
func demanded(raw map[string]string, name, usual string) (bool, error) {
	v := raw[name]
	if v == "" {
		v = usual
	}
	if v != "required" && v != "if-supported" {
		return false, fmt.Errorf(`%w: setting %q is %q: write required or if-supported`, fencing.ErrSettings, name, v)
	}
	return v == "required", nil
}

func parseLUNs(raw string) (out []lun, err error) {
	seen := map[string]bool{}
	for _, item := range fields(raw, ",") {
		l := lun{name: item}
		for _, way := range fields(item, "|") {
			p, err := parsePath(way)
			if err != nil {
				return nil, err
			}
			if seen[p.name] {
				return nil, fmt.Errorf(`%w: setting "luns" names %s twice: write each LUN once`, fencing.ErrSettings, p.name)
			}
			seen[p.name] = true
			l.paths = append(l.paths, p)
		}
		if len(l.paths) == 0 {
			return nil, fmt.Errorf(`%w: setting "luns" has an empty entry: remove it`, fencing.ErrSettings)
		}
		out = append(out, l)
	}
	if len(out) == 0 {
		return nil, fmt.Errorf(`%w: setting "luns" names none: write /dev/disk/by-id/NAME, /dev/mapper/NAME or iscsi://HOST:PORT/IQN/LUN`, fencing.ErrSettings)
	}
	return out, nil
}

// fields splits at sep and leaves out what is empty.
func fields(raw, sep string) (out []string) {
	for _, f := range strings.Split(raw, sep) {
		if f = strings.TrimSpace(f); f != "" {
			out = append(out, f)
		}
	}
	return out
}

func parsePath(raw string) (path, error) {
	if strings.HasPrefix(raw, "/dev/") && filepath.Clean(raw) == raw {
		return path{name: raw, file: raw}, nil
	}
	u, err := url.Parse(raw)
	if err != nil || u.Scheme != "iscsi" {
		return path{}, fmt.Errorf(`%w: setting "luns" has an entry that is no LUN: write /dev/disk/by-id/NAME, /dev/mapper/NAME or iscsi://HOST:PORT/IQN/LUN`, fencing.ErrSettings)
	}
	if u.User != nil { // the entry is not shown: it may hold a password
		return path{}, fmt.Errorf(`%w: setting "luns" has a user in an address: passwords for iSCSI (CHAP) are not supported: let the initiator name in without`, fencing.ErrSettings)
	}
	iqn, number, _ := strings.Cut(strings.Trim(u.Path, "/"), "/")
	unit, err := strconv.ParseUint(number, 10, 14)
	if err != nil || u.Hostname() == "" || !iqnForm.MatchString(iqn) || u.RawQuery != "" || u.Fragment != "" {
		return path{}, fmt.Errorf(`%w: setting "luns" has the address %q: write iscsi://HOST:PORT/IQN/LUN, such as iscsi://10.0.8.1:3260/iqn.2003-01.org.example:san/1`, fencing.ErrSettings, raw)
	}
	port := u.Port()
	if port == "" {
		port = "3260"
	}
	return path{name: raw, address: net.JoinHostPort(u.Hostname(), port), target: iqn, unit: uint16(unit)}, nil
}

var (
	iqnForm     = regexp.MustCompile(`^(iqn\.|eui\.|naa\.)[A-Za-z0-9.:_-]{1,219}$`)
	storageForm = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9._-]*$`)
)

func parseStorages(raw string) ([]string, error) {
	out := fields(raw, ",")
	for i, s := range out {
		if !storageForm.MatchString(s) || slices.Contains(out[:i], s) {
			return nil, fmt.Errorf(`%w: setting "storages" has %q, which is no name of a Proxmox storage or is there twice: write the names as in /etc/pve/storage.cfg`, fencing.ErrSettings, s)
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf(`%w: setting "storages" names none: write the names as in /etc/pve/storage.cfg`, fencing.ErrSettings)
	}
	return out, nil
}
