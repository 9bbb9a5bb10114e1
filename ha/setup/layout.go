package setup

import (
	"path"

	"bascule/ha"
	"bascule/ha/setup/pki"
)

// Layout says where things lie on a node. Labs have their own.
type Layout struct {
	PVE  string // Proxmox's tree: /etc/pve
	Etc  string // the local configuration: /etc/bascule
	Run  string // sockets: /run/bascule
	Data string // the store: /var/lib/bascule
}

// Standard is the layout of real nodes: the configuration's defaults.
var Standard = Layout{PVE: "/etc/pve", Etc: "/etc/bascule", Run: "/run/bascule", Data: "/var/lib/bascule"}

// Common is the part of the configuration that all nodes share.
func (l Layout) Common() string { return path.Join(l.PVE, "bascule/basculed.yaml") }

// CACert and CAKey are the cluster's authority.
func (l Layout) CACert() string { return path.Join(l.PVE, pki.SharedCA) }

// CAKey lies where only root can read.
func (l Layout) CAKey() string { return path.Join(l.PVE, pki.SharedCAKey) }

// GossipKeys is the gossip's key ring.
func (l Layout) GossipKeys() string { return path.Join(l.PVE, pki.SharedGossip) }

// Secret is a file that only root can read, replicated to all nodes.
func (l Layout) Secret(name string) string { return path.Join(l.PVE, "priv/bascule", name) }

// Joined says by its existence that a node has joined; it holds the node's machine id.
func (l Layout) Joined(node ha.NodeName) string { return path.Join(l.JoinedDir(), string(node)) }

// JoinedDir holds a file per node that has joined.
func (l Layout) JoinedDir() string { return path.Join(l.PVE, "bascule/nodes") }

// Config is the configuration that the node's daemon reads.
func (l Layout) Config() string { return path.Join(l.Etc, "basculed.yaml") }

// Local is a file below the local configuration.
func (l Layout) Local(name string) string { return path.Join(l.Etc, name) }

// StoreData is the embedded store's directory.
func (l Layout) StoreData() string { return path.Join(l.Data, "etcd") }

// Password is where a node keeps the password of a fencing device: the path that the common part names.
func (l Layout) Password(device string) string { return l.Local("fencing/" + device + ".password") }
