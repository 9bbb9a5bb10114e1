package cephblocklist

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"bascule/fencing"
)

// Method is the fencing method ceph-blocklist.
var Method = fencing.Method{Name: "ceph-blocklist", Keys: keys, Storage: open, Join: join}

var keys = []fencing.Key{
	{Name: "storages", Required: true, Doc: "the names of the Proxmox storages that it takes away, with commas between: ceph-vm,ceph-data"},
	{Name: "pools", Required: true, Doc: "every pool of Ceph that these storages write to, with commas between; of erasure-coded storages the data pool too"},
	{Name: "client", Doc: "the account in Ceph without \"client.\" (default bascule)"},
	{Name: "keyring", Doc: "path of the file with the account's key, mode 0600 (default /etc/pve/priv/ceph.client.CLIENT.keyring)"},
	{Name: "conf", Doc: "path of the cluster's configuration (default /etc/pve/ceph.conf; none if monitors is given)"},
	{Name: "monitors", Doc: "addresses of the monitors with commas between, if the configuration does not name them"},
	{Name: "mark_down", Doc: "\"true\" on nodes that run OSDs too: the dead node's are marked down at once instead of after Ceph's own 20 s"},
	{Name: "host", Doc: "with mark_down: the node's name in the CRUSH map, as ceph osd tree shows it"},
}

// settings are the parsed settings of one device.
type settings struct {
	storages []string
	pools    []string
	client   string
	keyring  string
	conf     string // empty: none
	monitors string
	host     string // empty: OSDs are left alone
}

func open(raw map[string]string) (fencing.StorageDevice, error) {
	if err := fencing.CheckSettings(keys, raw); err != nil {
		return nil, err
	}
	s := settings{client: raw["client"], keyring: raw["keyring"], conf: raw["conf"], host: strings.TrimSpace(raw["host"])}
	var err error
	if s.storages, err = list("storages", raw["storages"]); err != nil {
		return nil, err
	}
	if s.pools, err = list("pools", raw["pools"]); err != nil {
		return nil, err
	}
	if raw["monitors"] != "" {
		m, err := list("monitors", raw["monitors"])
		if err != nil {
			return nil, err
		}
		s.monitors = strings.Join(m, ",")
	}
	return s.complete(raw["mark_down"])
}

// complete fills in the defaults and refuses what cannot be.
func (s settings) complete(markDown string) (fencing.StorageDevice, error) {
	if s.client == "" {
		s.client = "bascule"
	}
	if strings.HasPrefix(s.client, "client.") || strings.ContainsAny(s.client, " \t/[]\"'") {
		return nil, fmt.Errorf(`%w: setting "client" is %q: write the account's name without "client." before it`, fencing.ErrSettings, s.client)
	}
	if s.keyring == "" {
		s.keyring = "/etc/pve/priv/ceph.client." + s.client + ".keyring"
	}
	if s.conf == "" && s.monitors == "" {
		s.conf = "/etc/pve/ceph.conf"
	}
	for _, f := range []struct{ name, path string }{{"keyring", s.keyring}, {"conf", s.conf}} {
		if f.path != "" && (!filepath.IsAbs(f.path) || strings.ContainsAny(f.path, ", \t")) {
			return nil, fmt.Errorf("%w: setting %q is %q: write an absolute path without blanks and commas", fencing.ErrSettings, f.name, f.path)
		}
	}
	switch {
	case markDown != "" && markDown != "true":
		return nil, fmt.Errorf(`%w: setting "mark_down" is %q: write "true", or remove it`, fencing.ErrSettings, markDown)
	case markDown == "true" && s.host == "":
		return nil, fmt.Errorf(`%w: setting "host" is missing: mark_down needs the node's name in the CRUSH map, see ceph osd tree`, fencing.ErrSettings)
	case markDown == "" && s.host != "":
		return nil, fmt.Errorf(`%w: setting "host" is only for mark_down: write mark_down: "true" too, or remove host`, fencing.ErrSettings)
	}
	return &device{s: s}, nil
}

// list splits at commas; each part stands once.
func list(setting, raw string) ([]string, error) {
	var out []string
	for _, part := range strings.Split(raw, ",") {
		part = strings.TrimSpace(part)
		if part == "" {
			return nil, fmt.Errorf("%w: setting %q has an empty part: write names with one comma between", fencing.ErrSettings, setting)
		}
		if slices.Contains(out, part) {
			return nil, fmt.Errorf("%w: setting %q names %q twice: remove one", fencing.ErrSettings, setting, part)
		}
		out = append(out, part)
	}
	return out, nil
}
