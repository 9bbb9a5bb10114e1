package alert

import (
	"strings"

	"bascule/ha"
)

// Subjects and states of transitions that are no node's and no guest's; the daemon builds them itself, because a
// store that is away stores no events.
const (
	SubjectStore   = "store"
	SubjectCluster = "cluster"
	StoreAvailable = "available"
	StoreAway      = "away"

	subjectVoter   = "voter "
	clusterInOrder = "in order"
)

// Severity grades an alert.
type Severity string

// Severities.
const (
	Critical Severity = "critical" // guests are down or stay down until somebody acts
	Warning  Severity = "warning"  // something happened that somebody should look into
	Info     Severity = "info"     // it is well again
)

// Kind is one kind of alert. What is of no kind is told to nobody: plain starts, stops, moves, drains and mere suspicions.
type Kind struct {
	ID       string // stable: filters of monitoring rest on it
	Severity Severity
	Title    string // what it says; without a full stop, which the page adds
	Do       string // what it means, and what to do
	of       func(ha.Transition) bool
}

var guestBack = Kind{"guest-back", Info, "A guest that was down or frozen is being started, runs again, or was taken back by somebody", "nothing",
	func(t ha.Transition) bool {
		return t.Guest != 0 && (ha.GuestState(t.From) == ha.GuestRecovery || ha.GuestState(t.From) == ha.GuestError || ha.GuestState(t.From) == ha.GuestFrozen)
	}}

// kinds are all of them. The first that fits counts.
var kinds = []Kind{
	{"rolled-back", Critical, "The store shows an older state than members have seen: it was restored, replaced, or went back by itself",
		"every guest is frozen until all members have reported or are proven off. After `hactl restore` that is as it should be: start basculed on every member. If nobody restored it, look at the voters' data directories before anything is started",
		func(t ha.Transition) bool { return t.Subject == SubjectCluster && t.To != clusterInOrder }},
	{"rolled-back-over", Info, "After that, all members have reported", "guests are started and recovered again",
		func(t ha.Transition) bool { return t.Subject == SubjectCluster }},
	{"alarm", Critical, "Something that must never be: a node proven off registers itself with the same boot, or got back its access to storages, or a record in the store cannot be read",
		"the reason says what to do, mostly: switch that node off now. A fencing device that said \"off\" of a running machine is to be put right before the node is used again",
		func(t ha.Transition) bool { return strings.HasPrefix(t.Reason, ha.Alarm) }},
	{"node-fencing", Critical, "A node is dead or cut off and is being fenced", "nothing, if `node-fenced` follows within seconds or minutes. If not, its end cannot be proven: look at the machine; if it is really off, `hactl confirm-off NODE`",
		func(t ha.Transition) bool { return isNode(t) && ha.NodeState(t.To) == ha.NodeFencing }},
	{"node-fenced", Warning, "A node is proven off; its guests are recovered elsewhere", "find out why it died before you trust it again; when it boots it takes guests again by itself",
		func(t ha.Transition) bool { return isNode(t) && ha.NodeState(t.To) == ha.NodeFenced }},
	{"node-quarantined", Warning, "A node was fenced again and again and takes no guests any more", "look at its log, its network and its power; then `hactl undrain NODE`",
		func(t ha.Transition) bool { return isNode(t) && ha.NodeState(t.To) == ha.NodeQuarantined }},
	{"node-back", Info, "A node that was fenced or quarantined is back", "nothing; guests that left stay where they are",
		func(t ha.Transition) bool {
			return isNode(t) && (ha.NodeState(t.From) == ha.NodeFencing || ha.NodeState(t.From) == ha.NodeFenced || ha.NodeState(t.From) == ha.NodeQuarantined)
		}},
	{"guest-down", Critical, "A guest is down and looks for a new node", "nothing, if `guest-back` follows. If not, no node has a place for it: `hactl status` says what each one lacks",
		func(t ha.Transition) bool { return t.Guest != 0 && ha.GuestState(t.To) == ha.GuestRecovery }},
	{"guest-error", Critical, "A guest is down and was given up", "the reason is Proxmox's own. Put it right and start the guest in the Proxmox page: it is protected again",
		func(t ha.Transition) bool { return t.Guest != 0 && ha.GuestState(t.To) == ha.GuestError }},
	{"guest-frozen", Warning, "A guest is frozen: nothing is done to it", "the reason says what is waited for: its node's basculed, which was stopped, or members that have not reported",
		func(t ha.Transition) bool { return t.Guest != 0 && ha.GuestState(t.To) == ha.GuestFrozen }},
	guestBack,
	{"store-away", Critical, "The store (etcd) has no majority: nothing is started, moved or fenced", "bring voters back: power, network, `systemctl status basculed`; `hactl status` names those that do not answer. Lost for good: [the majority is lost](operate.md#the-majority-is-lost)",
		func(t ha.Transition) bool { return t.Subject == SubjectStore && t.To == StoreAway }},
	{"store-back", Info, "The store has its majority again", "nothing",
		func(t ha.Transition) bool { return t.Subject == SubjectStore }},
	{"voter-lost", Warning, "A voter of the store is gone, and nothing can vote in its place", "repair it, or add a member that can vote: [the store's voters](operate.md#the-stores-voters-growing-replacing-removing)",
		func(t ha.Transition) bool { return isVoter(t) && t.To == "lost" }},
	{"voter-replacing", Warning, "A voter of the store is gone for long, and a spare takes its place", "nothing for the store; find out what became of that machine",
		func(t ha.Transition) bool { return isVoter(t) && t.To == "replacing" }},
	{"voter-changed", Info, "A voter was replaced, or answers again", "nothing",
		func(t ha.Transition) bool { return isVoter(t) }},
	{"storage-lost", Critical, "A node has lost a storage", "bring it back: cables, switch, the storage's own state. Guests leave the node if the storage works elsewhere and there is a place; `hactl status` says of each that stays why. [More](storage.md)",
		func(t ha.Transition) bool { return isStorage(t) && t.To == ha.StorageLost }},
	{"storage-back", Info, "A node has a storage again", "nothing; guests that left stay where they are",
		func(t ha.Transition) bool { return isStorage(t) }},
	{"device-broken", Warning, "A fencing device has failed every look for five minutes: it would not work today", "should its node die, its end may not be provable, and its guests would wait for you. The reason is the device's own; after putting it right `hactl fence test NODE` shows at once whether it works",
		func(t ha.Transition) bool { return isDevice(t) && t.To == ha.DeviceBroken }},
	{"device-back", Info, "A fencing device works again", "nothing",
		func(t ha.Transition) bool { return isDevice(t) }},
}

// Kinds lists all kinds of alerts.
func Kinds() []Kind { return append([]Kind(nil), kinds...) }

func isNode(t ha.Transition) bool {
	return t.Node != "" && t.Guest == 0
}
func isVoter(t ha.Transition) bool   { return strings.HasPrefix(t.Subject, subjectVoter) }
func isStorage(t ha.Transition) bool { return strings.HasPrefix(t.Subject, ha.SubjectStorage) }
func isDevice(t ha.Transition) bool  { return strings.HasPrefix(t.Subject, ha.SubjectDevice) }

// KindOf is the kind of alert that a transition is; false: people need not hear of it.
func KindOf(t ha.Transition) (Kind, bool) {
	if t.From == t.To && !strings.HasPrefix(t.Reason, ha.Alarm) {
		return Kind{}, false
	}
	for _, k := range kinds {
		if k.of(t) {
			return k, true
		}
	}
	return Kind{}, false
}
