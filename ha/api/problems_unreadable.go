package api

import (
	"fmt"
	"slices"

	"bascule/ha"
)

// storePrefix is where a cluster's keys stand in etcd; etcdctl wants them whole.
const storePrefix = "/bascule/v1/"

// unreadable tells of every record in the store that cannot be decoded: what it is about is left alone until somebody has put it right.
func (f *finder) unreadable() {
	for _, key := range f.v.Snapshot.Unreadable {
		d := ha.DamageOf(key)
		sev := Warning
		if d.Grave {
			sev = Critical
		}
		why := fmt.Sprintf("it is damaged, or a newer basculed than %s wrote it; %s", f.v.Version, d.Effect)
		if key == f.v.Snapshot.NewerSchema {
			why = "a newer basculed wrote it; " + d.Effect
		}
		do := "upgrade basculed here if a newer one wrote it (journalctl -u basculed has the error). Only if it is damaged: " +
			d.Repair(fmt.Sprintf("etcdctl del %s%s/%s", storePrefix, f.v.Cluster, key))
		f.add(sev, d.Subject, fmt.Sprintf("the record %s in the store cannot be read", key), why, do)
	}
}

// damagedNode says whether a node's record is there and cannot be read.
func damagedNode(v View, n ha.NodeName) bool {
	return slices.Contains(v.Snapshot.Unreadable, ha.KeyNode(n))
}
