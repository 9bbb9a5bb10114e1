package api

import (
	"fmt"
	"slices"
	"strings"

	"bascule/ha"
)

// storePrefix is where a cluster's keys stand in etcd; etcdctl wants them whole.
const storePrefix = "/bascule/v1/"

// unreadable tells of every record in the store that cannot be decoded: what it is about is left alone until somebody has put it right.
func (f *finder) unreadable() {
	for _, key := range f.v.Snapshot.Unreadable {
		sev, subject, about, first := aboutKey(key)
		why := fmt.Sprintf("it is damaged, or a newer basculed than %s wrote it; %s", f.v.Version, about)
		if key == f.v.Snapshot.NewerSchema {
			why = "a newer basculed wrote it; " + about
		}
		do := "upgrade basculed here if a newer one wrote it (journalctl -u basculed has the error). Only if it is damaged: "
		if key == ha.KeyCluster {
			do += "restore the store from a backup"
		} else {
			do += fmt.Sprintf("%setcdctl del %s%s/%s; what is needed of it is written anew", first, storePrefix, f.v.Cluster, key)
		}
		f.add(sev, subject, fmt.Sprintf("the record %s in the store cannot be read", key), why, do)
	}
}

// damagedNode says whether a node's record is there and cannot be read.
func damagedNode(v View, n ha.NodeName) bool {
	return slices.Contains(v.Snapshot.Unreadable, ha.KeyNode(n))
}

// aboutKey says of an unreadable key how grave it is, whom it is about, what that means for them, and what must be looked at before
// the key is removed.
func aboutKey(key string) (sev Severity, subject, about, first string) {
	prefix, rest, _ := strings.Cut(key, "/")
	switch prefix + "/" {
	case ha.KeyCluster + "/":
		return Critical, "cluster", "it holds the epoch that every assignment belongs to, so nothing at all is decided", ""
	case ha.PrefixNode, ha.PrefixFence, ha.PrefixLease, ha.PrefixReport:
		return Critical, "node " + rest, fmt.Sprintf("nothing is decided about %s meanwhile, not even when it dies", rest),
			fmt.Sprintf("see to it that each guest of %s runs in one place only, then ", rest)
	case ha.PrefixGuest, ha.PrefixGuestReport:
		id := rest[strings.LastIndex(rest, "/")+1:]
		return Critical, "guest " + id, fmt.Sprintf("nothing is decided about guest %s meanwhile, not even when its node dies", id),
			fmt.Sprintf("see to it that guest %s runs in one place only, then ", id)
	case ha.PrefixRequest:
		return Warning, "store", "an operator's request waits for ever; nothing else is touched", ""
	case ha.PrefixOnboot:
		return Warning, "guest " + rest, `whether guest ` + rest + ` was started at boot before it was protected is not known; nothing else is touched`, ""
	}
	return Warning, "store", "nothing else is touched by it", ""
}
