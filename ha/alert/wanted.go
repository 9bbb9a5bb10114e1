package alert

import (
	"fmt"
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
)

// Severity grades an alert.
type Severity string

// Severities.
const (
	Critical Severity = "critical" // guests are down or stay down until somebody acts
	Warning  Severity = "warning"  // something happened that somebody should look into
	Info     Severity = "info"     // it is well again
)

// Wanted says whether people should hear of a transition: fencing, recovery, errors, the store going away, and their
// ends. Plain starts, stops, moves, drains and mere suspicions are not.
func Wanted(t ha.Transition) bool {
	switch {
	case strings.HasPrefix(t.Reason, ha.Alarm):
		return true
	case t.From == t.To:
		return false
	case strings.HasPrefix(t.Subject, ha.SubjectStorage):
		return true
	case t.Guest != 0:
		return wantedGuest(ha.GuestState(t.From), ha.GuestState(t.To))
	case t.Node != "":
		return wantedNode(ha.NodeState(t.From), ha.NodeState(t.To))
	}
	return t.Subject == SubjectStore || t.Subject == SubjectCluster || isVoter(t)
}

// isVoter says whether the transition is about a voter of the store.
func isVoter(t ha.Transition) bool { return strings.HasPrefix(t.Subject, "voter ") }

func wantedNode(from, to ha.NodeState) bool {
	switch to {
	case ha.NodeFencing, ha.NodeFenced, ha.NodeQuarantined:
		return true
	}
	switch from {
	case ha.NodeFencing, ha.NodeFenced, ha.NodeQuarantined:
		return true // it is back, in whatever state
	}
	return false
}

func wantedGuest(from, to ha.GuestState) bool {
	switch to {
	case ha.GuestRecovery, ha.GuestError, ha.GuestFrozen:
		return true
	}
	switch from {
	case ha.GuestRecovery, ha.GuestError, ha.GuestFrozen:
		return true
	}
	return false
}

// SeverityOf grades a transition.
func SeverityOf(t ha.Transition) Severity {
	switch {
	case strings.HasPrefix(t.Reason, ha.Alarm):
		return Critical
	case t.Guest != 0:
		switch ha.GuestState(t.To) {
		case ha.GuestError, ha.GuestRecovery:
			return Critical
		case ha.GuestFrozen:
			return Warning
		}
	case t.Node != "":
		switch ha.NodeState(t.To) {
		case ha.NodeFencing:
			return Critical
		case ha.NodeFenced, ha.NodeQuarantined:
			return Warning
		}
	case t.To == StoreAway, strings.HasPrefix(t.Subject, ha.SubjectStorage) && t.To == ha.StorageLost:
		return Critical
	case t.Subject == SubjectCluster, isVoter(t) && t.To == "lost", isVoter(t) && t.To == "replacing":
		return Warning
	}
	return Info
}

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
	case t.Subject == SubjectStore && t.To == StoreAway:
		what = "The store (etcd) is away: nothing is started, moved or fenced until it is back. hactl status names the voters that do not answer"
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
	n := strings.TrimPrefix(t.Subject, "voter ")
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
