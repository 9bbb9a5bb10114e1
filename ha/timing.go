package ha

import (
	"errors"
	"fmt"
	"time"
)

// Timing is every wait of one cluster, in one place (R6). A profile gives the base values; the rest follows by
// the methods. A node publishes the Timing it runs with and the leader uses the published one.
type Timing struct {
	Profile         string        `json:"profile"`
	LeaseTTL        time.Duration `json:"lease_ttl"`        // etcd lease of a node
	RenewEvery      time.Duration `json:"renew_every"`      // pause between two renewals
	RenewTimeout    time.Duration `json:"renew_timeout"`    // one renewal call
	PeerTimeout     time.Duration `json:"peer_timeout"`     // one round of asking the other members for a peer permit
	DriftMargin     time.Duration `json:"drift_margin"`     // clock drift over a TTL plus scheduling: taken off every permit
	PermitGrace     time.Duration `json:"permit_grace"`     // from the permit's end to the first kill
	KillTime        time.Duration `json:"kill_time"`        // from the first kill to "not clean in time"
	WatchdogTimeout time.Duration `json:"watchdog_timeout"` // from the last feeding to the reset
	WatchdogFeed    time.Duration `json:"watchdog_feed"`    // pause between two feedings
	SelfFenceMargin time.Duration `json:"self_fence_margin"`
	GossipProbe     time.Duration `json:"gossip_probe"`
	GossipTimeout   time.Duration `json:"gossip_timeout"`
	GossipMult      int           `json:"gossip_mult"` // memberlist's SuspicionMult
	EtcdHeartbeat   time.Duration `json:"etcd_heartbeat"`
	EtcdElection    time.Duration `json:"etcd_election"`
	FenceDelay      time.Duration `json:"fence_delay"`    // extra wait between "both hints agree" and fencing
	DaemonGrace     time.Duration `json:"daemon_grace"`   // while corosync still lists the node: its daemon died, not the node
	DeviceTimeout   time.Duration `json:"device_timeout"` // one request to a fencing device
	DevicePoll      time.Duration `json:"device_poll"`    // between two reads while a machine switches off
	OffReadGap      time.Duration `json:"off_read_gap"`   // between the two reads of an "off" that we did not command
	LevelTimeout    time.Duration `json:"level_timeout"`  // a fencing level without proof for so long yields to the next
	BootTime        time.Duration `json:"boot_time"`      // from power-on or a reset until the node registers again, at the longest: so long it is not reset again, nor, after an outage of everything, switched off
}

// ErrTiming is wrapped by every broken inequality that Check finds.
var ErrTiming = errors.New("impossible timing")

// Profile returns the timing of a named profile: fast, normal or patient (DESIGN part 4).
func Profile(name string) (Timing, error) {
	t := Timing{
		Profile: name, LeaseTTL: 5 * time.Second, RenewEvery: time.Second, RenewTimeout: time.Second,
		PeerTimeout: 500 * time.Millisecond,
		DriftMargin: 500 * time.Millisecond, PermitGrace: 500 * time.Millisecond, KillTime: 3 * time.Second,
		WatchdogTimeout: 10 * time.Second, WatchdogFeed: 2 * time.Second, SelfFenceMargin: time.Second,
		GossipProbe: 200 * time.Millisecond, GossipTimeout: 100 * time.Millisecond, GossipMult: 4,
		EtcdHeartbeat: 100 * time.Millisecond, EtcdElection: time.Second,
		DaemonGrace: 15 * time.Second, DeviceTimeout: 3 * time.Second, DevicePoll: 250 * time.Millisecond,
		OffReadGap: time.Second, LevelTimeout: 60 * time.Second, BootTime: 5 * time.Minute,
	}
	switch name {
	case "normal", "":
		t.Profile = "normal"
	case "fast":
		t.LeaseTTL, t.RenewEvery, t.RenewTimeout = 3*time.Second, 500*time.Millisecond, 700*time.Millisecond
		t.PeerTimeout = 250 * time.Millisecond
		t.DriftMargin, t.DeviceTimeout = 300*time.Millisecond, 1500*time.Millisecond
		t.EtcdHeartbeat, t.EtcdElection = 50*time.Millisecond, 500*time.Millisecond
	case "patient":
		t.LeaseTTL, t.RenewEvery, t.RenewTimeout = 20*time.Second, 3*time.Second, 4*time.Second
		t.PeerTimeout = 2 * time.Second
		t.DriftMargin, t.PermitGrace, t.DeviceTimeout = time.Second, time.Second, 10*time.Second
		t.GossipProbe, t.GossipTimeout = time.Second, 500*time.Millisecond
		t.EtcdHeartbeat, t.EtcdElection = 500*time.Millisecond, 5*time.Second
	default:
		return Timing{}, fmt.Errorf("timing profile %q: %w: write fast, normal or patient", name, ErrTiming)
	}
	return t, nil
}

// PermitDeadline is the end of the permit that a renewal sent at `sent` gives: the store counts the TTL from a later
// moment (its receipt), so the lease outlives the permit by at least DriftMargin.
func (t Timing) PermitDeadline(sent Instant) Instant { return sent.Add(t.LeaseTTL - t.DriftMargin) }

// PromiseEnd is how long a peer that received a request at `received` keeps its promise to take no part in recovering the asker's
// guests: the permit that it gives ends the asker's TTL less the margin after the request was sent, by another clock (DESIGN part 5).
// ttl is the asker's lease TTL: while a profile is being changed it may be longer than ours.
func (t Timing) PromiseEnd(received Instant, ttl time.Duration) Instant {
	return received.Add(max(t.LeaseTTL, ttl) + t.DriftMargin)
}

// MaxLeaseTTL bounds lease_ttl, and so how long a member can bind another one by a request.
const MaxLeaseTTL = time.Minute

// AskBy is how long after its last good renewal a node that lost the store has its first answers from the peers, at the latest: a
// renewal is due, fails, the round before missed a peer that had not noticed yet, and one more round.
func (t Timing) AskBy() time.Duration { return 2*t.RenewEvery + t.RenewTimeout + 2*t.PeerTimeout }

// SelfFence is W: after the permit's end, the longest time in which an armed node ends its guests or itself.
// Term by term: grace, kill routine, watchdog, margin.
func (t Timing) SelfFence() time.Duration {
	return t.PermitGrace + t.KillTime + t.WatchdogTimeout + t.SelfFenceMargin
}

// RevokeRecheck is the pause between two looks at revoked storages: R3 sets it, whatever the profile.
func (t Timing) RevokeRecheck() time.Duration { return 10 * time.Second }

// StorageLook is the longest that one look at a storage may take; after that it counts as hung. Whoever answers later than a guest's own
// disk time-out (30 s and more) is no storage; 5 s is what a multipath or an NFS server in trouble may take and recover.
func (t Timing) StorageLook() time.Duration { return 5 * time.Second }

// StorageEvery is the pause between two looks at a storage that is good: twice what one may take, so that looks never fill the time.
func (t Timing) StorageEvery() time.Duration { return 2 * t.StorageLook() }

// StorageAgain is the pause after a look that failed.
func (t Timing) StorageAgain() time.Duration { return 3 * time.Second }

// StorageWait is how long what two nodes say differently of a storage must stand until a leader takes both for true: by then every other
// node has begun and ended a look since (StorageEvery, StorageLook), and has said so in the store, or lost its lease.
func (t Timing) StorageWait() time.Duration { return t.StorageEvery() + t.StorageLook() + t.LeaseTTL }

// MinMsgWait is the shortest wait after a poison pill's read-back that proves anything about a node with these timings.
func (t Timing) MinMsgWait() time.Duration { return 2 * t.WatchdogTimeout }

// WatchdogMux is the name of Proxmox's watchdog-mux as a driver.
const WatchdogMux = "watchdog-mux"

// muxTimeout is the longest time from a client's last feeding of watchdog-mux to the reset: its client time-out (60 s, looked at every
// 2 s), the second by which each of Proxmox's two own clients can put that look off, the mux's exit, which counts as a feeding, and
// then the device's own 10 s (watchdog-mux.c of pve-ha-manager; ha/guard's fake of it measures 73.75 s).
const muxTimeout = 75 * time.Second

// Through is the timing of a node whose watchdog is of this driver: what a leader reckons with.
func (t Timing) Through(driver string) Timing {
	if driver == WatchdogMux {
		t.WatchdogTimeout = max(t.WatchdogTimeout, muxTimeout)
	}
	return t
}

// QuietTime is how long a starting daemon neither campaigns nor fences nor starts guests: the longest permit
// that could exist (DESIGN part 5), because it may have forgotten a promise. longest is the longest lease TTL by which the process
// before it may have promised; 0: its own.
func (t Timing) QuietTime(longest time.Duration) time.Duration {
	return max(t.LeaseTTL, longest) + t.DriftMargin
}

// LongestStall is the longest pause of a daemon that never costs its permit.
func (t Timing) LongestStall() time.Duration { return t.LeaseTTL - t.DriftMargin - t.RenewEvery }

// DeviceWindow is how long before a leader's own deadline a device command may still be sent.
func (t Timing) DeviceWindow() time.Duration { return t.DeviceTimeout }

// shortestVoterGone is how long a voter is missed at the least: a change of the voters is no answer to a passing trouble.
const shortestVoterGone = 10 * time.Minute

// VoterGone is how long a voter of the store does not answer before another one votes in its place: whoever resets the machine, and looks
// after it and resets it once more, gets it back with its vote.
func (t Timing) VoterGone() time.Duration { return max(shortestVoterGone, 2*t.BootTime) }

// VoterAway is the same for a voter whose node was drained or whose daemon was stopped in order: somebody works on it and brings it back. It
// is replaced all the same in the end: work that takes longer leaves the store without a loss to bear.
func (t Timing) VoterAway() time.Duration { return 6 * t.VoterGone() }

// Check returns the first inequality that the timing breaks, naming it, wrapped around ErrTiming.
func (t Timing) Check() error {
	for _, q := range []struct {
		ok   bool
		name string
	}{
		{t.RenewEvery > 0 && t.LeaseTTL > 0, "lease_ttl and renew_every must be positive"},
		{t.LeaseTTL <= MaxLeaseTTL, fmt.Sprintf("lease_ttl %v must be at most %v", t.LeaseTTL, MaxLeaseTTL)},
		{t.LongestStall() > t.RenewTimeout, fmt.Sprintf("lease_ttl %v - drift margin %v - renew_every %v must exceed renew_timeout %v, or one lost renewal ends the permit", t.LeaseTTL, t.DriftMargin, t.RenewEvery, t.RenewTimeout)},
		{t.AskBy() < t.LeaseTTL-t.DriftMargin, fmt.Sprintf("2 x renew_every + renew_timeout + 2 x peer_timeout = %v must be under lease_ttl - drift margin = %v, or a store that dies ends every permit before the peers can answer", t.AskBy(), t.LeaseTTL-t.DriftMargin)},
		{t.LeaseTTL%time.Second == 0, fmt.Sprintf("lease_ttl %v must be whole seconds (etcd's unit)", t.LeaseTTL)},
		{2*t.LeaseTTL >= 3*t.EtcdElection, fmt.Sprintf("lease_ttl %v must be at least 1.5 x etcd_election %v (etcd's minimum)", t.LeaseTTL, t.EtcdElection)},
		{t.EtcdElection >= 5*t.EtcdHeartbeat, fmt.Sprintf("etcd_election %v must be at least 5 x etcd_heartbeat %v", t.EtcdElection, t.EtcdHeartbeat)},
		{t.DeviceTimeout <= t.LeaseTTL-t.DriftMargin-t.RenewEvery, fmt.Sprintf("device_timeout %v must be at most lease_ttl - drift margin - renew_every = %v, or a leader could never send a device command (R4); use a more patient profile", t.DeviceTimeout, t.LongestStall())},
		{t.DeviceTimeout <= t.RevokeRecheck(), fmt.Sprintf("device_timeout %v must be at most the %v between two looks at a revoked storage (R3)", t.DeviceTimeout, t.RevokeRecheck())},
		{t.WatchdogFeed*2 < t.WatchdogTimeout, fmt.Sprintf("watchdog_feed %v must be under half of watchdog_timeout %v", t.WatchdogFeed, t.WatchdogTimeout)},
		{t.BootTime > t.LeaseTTL+t.DeviceTimeout, fmt.Sprintf("boot_time %v must exceed lease_ttl + device_timeout = %v, or a machine that has just been reset is reset again before its node could register", t.BootTime, t.LeaseTTL+t.DeviceTimeout)},
		{t.OffReadGap >= time.Second, fmt.Sprintf("off_read_gap %v must be at least 1s (R3)", t.OffReadGap)},
		{t.GossipTimeout < t.GossipProbe, fmt.Sprintf("gossip_timeout %v must be under gossip_probe %v", t.GossipTimeout, t.GossipProbe)},
	} {
		if !q.ok {
			return fmt.Errorf("%w: %s", ErrTiming, q.name)
		}
	}
	return nil
}
