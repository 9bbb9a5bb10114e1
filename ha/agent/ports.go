package agent

import (
	"context"
	"time"

	"bascule/ha"
	"bascule/ha/leader"
	"bascule/ha/node"
)

// Store is the truth (ha/etcd). Errors are those of package ha: ErrConflict, ErrAmbiguous, ErrUnavailable, ErrLeaseGone.
type Store interface {
	Get(ctx context.Context, key string) (*ha.KV, int64, error) // linearizable
	Latest() (rev int64, kvs []ha.KV, ok bool)                  // the watched copy
	Commit(ctx context.Context, t ha.Txn) (rev int64, err error)
	Grant(ctx context.Context, ttl time.Duration) (ha.LeaseID, error)
	Renew(ctx context.Context, id ha.LeaseID) (time.Duration, error)
	Revoke(ctx context.Context, id ha.LeaseID) error
	Campaign(ctx context.Context, r ha.LeaderRecord) (ha.Term, *ha.LeaderRecord, error)
	Resign(ctx context.Context, t ha.Term) error
	Health(ctx context.Context) ha.StoreHealth
	MoveRaftLeaderOff(ctx context.Context, n ha.NodeName) (moved bool, to string, err error)
}

// Voters changes who keeps the embedded store (ha/etcd).
type Voters interface {
	ReplaceLost(ctx context.Context, o ha.VoterOrder) error
}

// Gossip is who is alive, as a hint (ha/gossip).
type Gossip interface {
	View() map[ha.NodeName]ha.GossipView
	UpdateMeta()
	Leave(ctx context.Context) error
	Send(to ha.NodeName, msg []byte) error // reliable, or an error; what comes in is handed to Agent.Receive
}

// Proxmox is this node's own Proxmox (ha/proxmox).
type Proxmox interface {
	Inventory(ctx context.Context) (ha.Inventory, error)
	Members(ctx context.Context) (ha.CorosyncView, error)
	Running(ctx context.Context, id ha.VMID, kind ha.GuestKind) (bool, error)
	Claim(ctx context.Context, id ha.VMID, kind ha.GuestKind, from ha.NodeName) error
	ConfigAt(ctx context.Context, id ha.VMID, kind ha.GuestKind) (ha.NodeName, error) // "" when no directory has it
	ClearLock(ctx context.Context, id ha.VMID, kind ha.GuestKind) (lock string, err error)
	SetOnboot(ctx context.Context, id ha.VMID, kind ha.GuestKind, on bool) error
	StoragesActive(ctx context.Context, names []string) (inactive []string, err error)
	Volumes(ctx context.Context, id ha.VMID, kind ha.GuestKind) ([]ha.Volume, error) // writable ones of a guest whose config is here
	Start(ctx context.Context, id ha.VMID, kind ha.GuestKind) error
	Stop(ctx context.Context, id ha.VMID, kind ha.GuestKind) error
	Migrate(ctx context.Context, id ha.VMID, kind ha.GuestKind, target ha.NodeName, live bool) error
	StopCause(ctx context.Context, id ha.VMID, since time.Time) (c ha.StopCause, detail string, err error)
}

// Guard is the guard process (ha/guard).
type Guard interface {
	Permit(ctx context.Context, inc ha.Incarnation, deadline ha.Instant, guests []ha.GuestRef) error
	End(ctx context.Context) error // the permit ended before its deadline
	Arm(ctx context.Context) error
	Disarm(ctx context.Context) error
	Obey(ctx context.Context, obey bool) error // whether a leader may count on messages in this node's slots
	Status(ctx context.Context) (ha.GuardStatus, error)
}

// Processes finds and ends what is left of a guest on this node.
type Processes interface {
	Find(ids []ha.GuestRef) ([]Process, error)
	Kill(p Process) error
}

// Process is one process of a guest.
type Process struct {
	PID      int
	Start    uint64 // start time in clock ticks: a recycled PID is another process
	Guest    ha.VMID
	What     string // worker, guest, monitor, other
	Incoming bool   // a migration's target that has not been switched over yet
}

// Executor carries out device commands (fencing). Do answers always, in bounded time.
type Executor interface {
	Do(ctx context.Context, c ha.DeviceCommand) ha.DeviceReading
}

// Storages is this node's own way to its storages (ha/storage). Look answers when ctx ends, whatever the storage does, and never begins a
// look at one where an earlier one has not come back. Held lists what this kernel still has mounted of a guest. Clear takes away what clients at
// these addresses, proven dead, left on images. Active lists the guests' logical volumes that this kernel has mapped, of whatever group, without touching a
// storage; Deactivate takes such a mapping away, and fails where anybody has the volume open.
type Storages interface {
	Look(ctx context.Context, p ha.StoragePlace) ha.StorageLook
	Held(id ha.VMID) []string
	Clear(ctx context.Context, p ha.StoragePlace, images, dead []string) (did []string, err error)
	Active() []ha.ActiveVolume
	Deactivate(ctx context.Context, v ha.ActiveVolume) error
}

// Recorder keeps decisions so that they can be replayed (ha/journal). It never blocks.
type Recorder interface {
	Round(now ha.Instant, l leader.Options, s leader.State, o leader.Observation, d leader.Decision)
	Step(now ha.Instant, c node.Config, before node.State, e node.Event, after node.State, effects []node.Effect, next ha.Instant)
}

// Notifier passes stored events on to people (ha/alert). It never blocks.
type Notifier interface{ Notify(e ha.Event) }
