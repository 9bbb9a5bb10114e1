package alert

import (
	"fmt"
	"strings"

	"bascule/ha"
)

// Text words a transition for people, in one line: what happened, then why.
func Text(t ha.Transition) string {
	what := fmt.Sprintf("%s: %s -> %s", t.Subject, t.From, t.To)
	switch {
	case t.Guest != 0:
		what = guestText(t)
	case t.Node != "":
		what = nodeText(t)
	case strings.HasPrefix(t.Subject, ha.SubjectStorage):
		what = storageText(t)
	case strings.HasPrefix(t.Subject, ha.SubjectDevice):
		what = deviceText(t)
	case t.Subject == SubjectStore && t.To == StoreAway:
		what = "The store (etcd) is away: nothing is started, moved or fenced until it is back. hactl status names the voters that do not answer"
	case t.Subject == SubjectCluster && t.To == clusterInOrder:
		what = "All members have reported: guests are started and recovered again"
	case t.Subject == SubjectCluster:
		what = "The store shows an older state than members have seen; every guest is frozen until all members have reported or are proven off"
	case isVoter(t):
		what = voterText(t)
	case t.Subject == SubjectStore:
		what = "The store (etcd) is back: recovery works again"
	}
	if t.Reason == "" {
		return what + "."
	}
	return what + ". Reason: " + t.Reason
}

func voterText(t ha.Transition) string {
	n := strings.TrimPrefix(t.Subject, subjectVoter)
	switch t.To {
	case "lost":
		return fmt.Sprintf("Voter %s of the store is gone, and nothing can vote in its place: the store has less to lose until it is back. hactl status says what to do", n)
	case "replacing":
		return fmt.Sprintf("Voter %s of the store is gone and is being replaced", n)
	case "replaced":
		return fmt.Sprintf("Voter replaced: %s does not keep the store any more. Should it come back, it is a spare", n)
	}
	return fmt.Sprintf("Voter %s of the store: %s -> %s", n, t.From, t.To)
}

func storageText(t ha.Transition) string {
	name := "Storage " + strings.TrimPrefix(t.Subject, ha.SubjectStorage)
	if t.To == ha.StorageLost {
		return name + " does not work any more. Guests that use it leave that node if the storage works elsewhere and there is a place; hactl status says of each that stays why"
	}
	return name + " works again; guests that left stay where they are"
}

func deviceText(t ha.Transition) string {
	name := strings.TrimPrefix(t.Subject, ha.SubjectDevice)
	if t.To == ha.DeviceBroken {
		return fmt.Sprintf("Fencing device %s would not work today: should that node die, its end may not be provable and its guests stay down. Put it right, then: hactl fence test", name)
	}
	return fmt.Sprintf("Fencing device %s works again", name)
}

func nodeText(t ha.Transition) string {
	switch ha.NodeState(t.To) {
	case ha.NodeFencing:
		return fmt.Sprintf("Node %s is dead or cut off and is being fenced; its guests are recovered as soon as it is proven off. Follow it: hactl status --watch", t.Node)
	case ha.NodeFenced:
		return fmt.Sprintf("Node %s is proven off; its guests are recovered on other nodes. Find out why it died", t.Node)
	case ha.NodeQuarantined:
		return fmt.Sprintf("Node %s comes and goes and takes no guests any more. Look at its log, network and power", t.Node)
	}
	return fmt.Sprintf("Node %s is back (%s -> %s)", t.Node, t.From, t.To)
}

func guestText(t ha.Transition) string {
	switch ha.GuestState(t.To) {
	case ha.GuestRecovery:
		return t.Subject + " is down and looks for a new node"
	case ha.GuestError:
		return t.Subject + " is down and was given up. hactl status says what to do"
	case ha.GuestFrozen:
		return t.Subject + " is frozen: nothing is done to it now"
	case ha.GuestStarted:
		return t.Subject + " runs again" + on(t.Node)
	case ha.GuestStarting:
		return t.Subject + " is being started" + on(t.Node)
	}
	return fmt.Sprintf("%s: %s -> %s%s", t.Subject, t.From, t.To, on(t.Node))
}

func on(n ha.NodeName) string {
	if n == "" {
		return ""
	}
	return " on " + string(n)
}
