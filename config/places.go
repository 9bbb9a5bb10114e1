package config

import (
	"slices"

	"bascule/ha"
)

// Places is where a member keeps things, and who it is: enough to ask what runs there, and to put back what it changed.
type Places struct {
	Cluster     string // empty where the file does not say it rightly
	Node        ha.NodeName
	Role        Role
	DataDir     string
	APISocket   string
	GuardSocket string
	Proxmox     Proxmox // only its root counts
}

// placeKeys are the settings that this rests on; "" is the file as a whole.
var placeKeys = []string{"", "node", "role", "data_dir", "run_dir", "api", "api.socket", "guard", "guard.socket", "proxmox", "proxmox.root"}

// LoadPlaces reads this from the file at path. Nothing else that is wrong with the file matters: a package is upgraded and removed on
// machines whose configuration is refused, too.
func LoadPlaces(path string) (*Places, error) {
	data, err := read(path)
	if err != nil {
		return nil, err
	}
	c, s := parse(path, data, here())
	var own []Problem
	for _, p := range s.problems {
		if slices.Contains(placeKeys, p.Path) {
			own = append(own, p)
		}
	}
	if err := asError(own); err != nil {
		return nil, err
	}
	return &Places{Cluster: c.Cluster, Node: c.Node, Role: c.Role, DataDir: c.DataDir, APISocket: c.API.Socket, GuardSocket: c.Guard.Socket, Proxmox: c.Proxmox}, nil
}
