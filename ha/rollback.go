package ha

// WentBack says whether a later view of the store contradicts an earlier one: the store was restored from a copy or replaced (R8). A
// key's modification revision never falls, and a key that was last written before the earlier view was taken must have been in that
// view as it is now. Equal revisions of two histories that grew apart are found too, unless every key that was lost was written again.
func WentBack(earlier, later *Snapshot) bool {
	if later.Revision < earlier.Revision {
		return true
	}
	at := earlier.Revision
	//arch:unordered whether any key fell back does not depend on the order
	for n, reports := range later.GuestReports {
		if fell(earlier.GuestReports[n], reports, at) {
			return true
		}
	}
	return fell(earlier.Leases, later.Leases, at) || fell(earlier.Reports, later.Reports, at) || fell(earlier.Nodes, later.Nodes, at) ||
		fell(earlier.Guests, later.Guests, at) || fell(earlier.Fences, later.Fences, at) || fell(earlier.Requests, later.Requests, at) ||
		fell(earlier.Onboot, later.Onboot, at) || later.Cluster.Rev <= at && later.Cluster.Rev != earlier.Cluster.Rev && later.Cluster.Rev != 0 ||
		later.Term != 0 && int64(later.Term) <= at && later.Term != earlier.Term
}

// fell says whether a key of later, last written at or before revision at, was another then.
func fell[K comparable, T any](earlier, later map[K]Versioned[T], at int64) bool {
	//arch:unordered whether any key fell back does not depend on the order
	for k, v := range later {
		if v.Rev <= at && earlier[k].Rev != v.Rev {
			return true
		}
	}
	return false
}
