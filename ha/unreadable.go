package ha

import (
	"fmt"
	"strings"
)

// Damage is what it means that a key of the store is there and cannot be decoded: whom it is about is left alone until somebody has put it
// right. The event that the leader stores and what hactl status shows say the same.
type Damage struct {
	Node    NodeName // nothing is decided about this node; empty: it is about no node
	Guest   string   // nothing is decided about the guest with this id, which may be rubbish itself; empty: it is about no guest
	Subject string   // for people
	Grave   bool     // something is not decided
	Effect  string   // what does not go on meanwhile
	first   string   // what has to be seen to before the key is removed
}

// DamageOf says what it means that this key cannot be decoded.
func DamageOf(key string) Damage {
	prefix, rest, _ := strings.Cut(key, "/")
	switch prefix + "/" {
	case KeyCluster + "/":
		return Damage{Subject: "cluster", Grave: true, Effect: "it holds the epoch that every assignment belongs to, so nothing at all is decided"}
	case PrefixNode, PrefixFence, PrefixLease, PrefixReport:
		return Damage{Node: NodeName(rest), Subject: "node " + rest, Grave: true,
			Effect: fmt.Sprintf("nothing is decided about %s meanwhile, not even when it dies", rest),
			first:  fmt.Sprintf("see to it that each guest of %s runs in one place only, then ", rest)}
	case PrefixGuest, PrefixGuestReport:
		id := rest[strings.LastIndex(rest, "/")+1:]
		return Damage{Guest: id, Subject: "guest " + id, Grave: true,
			Effect: fmt.Sprintf("nothing is decided about guest %s meanwhile, not even when its node dies", id),
			first:  fmt.Sprintf("see to it that guest %s runs in one place only, then ", id)}
	case KeyVoterChange + "/":
		return Damage{Subject: "store", Grave: true, Effect: "no voter that is gone is replaced",
			first: "look at hactl etcd members that as many vote as should, then "}
	case PrefixRequest:
		return Damage{Subject: "store", Effect: "an operator's request waits for ever; nothing else is touched"}
	case PrefixOnboot:
		return Damage{Subject: "guest " + rest,
			Effect: fmt.Sprintf("whether guest %s was started at boot before it was protected is not known; nothing else is touched", rest)}
	}
	return Damage{Subject: "store", Effect: "nothing else is touched by it"}
}

// Repair says what to do when the key is damaged. remove is how its removal is told; the cluster record is not made anew.
func (d Damage) Repair(remove string) string {
	if d.Subject == "cluster" {
		return "restore the store from a backup"
	}
	return d.first + remove + "; what is needed of it is written anew"
}
