package api

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"bascule/ha"
)

// store tells of etcd: away, or with no loss left to bear.
func (f *finder) store() {
	e := f.s.Etcd
	silent := slices.DeleteFunc(slices.Clone(e.Voters), func(n string) bool { return slices.Contains(e.Answering, n) })
	majority := len(e.Voters)/2 + 1
	for _, p := range f.v.Store.Problems {
		f.add(Warning, "store", p, "", "")
	}
	if e.External {
		f.externalStore(silent)
		return
	}
	if e.Available {
		if len(silent) == 0 {
			return
		}
		what := fmt.Sprintf("etcd has %d of %d voters: %s not answering", len(e.Answering), len(e.Voters), isAre(silent))
		why := "the store still has its majority; it can lose " + fmt.Sprint(max(0, len(e.Answering)-majority)) + " more"
		change, do := f.replacement(silent)
		f.add(Warning, "store", what, joined(why, f.heard(silent), change), do)
		return
	}
	what := "the store (etcd) is away" + f.since(e.Since) + ": nothing is started, moved or fenced meanwhile"
	why := e.Reason
	do := "look at basculed's log on every voter (journalctl -u basculed) and at the network between them"
	if len(silent) > 0 && len(e.Answering) < majority {
		why = joined(fmt.Sprintf("no quorum: %d of %d voters answer, %d are needed (%s not answering)", len(e.Answering), len(e.Voters), majority, isAre(silent)), e.Reason)
		need := "bring " + list(silent) + " back"
		switch missing := majority - len(e.Answering); {
		case missing == 1 && len(silent) > 1:
			need = "bring " + strings.Join(silent, " or ") + " back"
		case missing < len(silent):
			need = fmt.Sprintf("bring %d of %s back", missing, list(silent))
		}
		do = need + " (power, network, systemctl status basculed there): all re-arms by itself"
		if f.v.Permit.Valid && f.v.Role != RoleWitness {
			do += ". Do not restart basculed where guests run: their permit would end"
		}
	}
	f.add(Critical, "store", what, joined(why, f.heard(silent), f.livesOn()), do)
}

// replacement says what becomes of voters that do not answer, and what people can do.
func (f *finder) replacement(silent []string) (why, do string) {
	bring := "bring " + list(silent) + " back (power, network, systemctl status basculed)"
	c := f.v.Snapshot.VoterChange.Rec
	switch {
	case c.By != "":
		return fmt.Sprintf("%s loses its vote: %s", c.Old, c.Reason), "nothing, if that ends in some minutes (hactl etcd members); or bring " + list(silent) + " back"
	case c.Old != "":
		return fmt.Sprintf("%s has been gone for long: %s", c.Old, c.Reason), bring + ", or add a machine to members that can vote; a voter that lost its disk: hactl etcd replace"
	}
	for _, n := range f.s.Nodes {
		if slices.Contains(f.v.Store.Spares, n.Name) && n.Lease && (n.State == ha.NodeOnline || n.Witness) {
			return "", bring + "; one that stays away loses its vote to a spare"
		}
	}
	return "", bring + "; there is no spare that could vote instead. One that is gone for good: hactl etcd replace"
}

// externalStore tells of an etcd that others run. How many members it has, and so what it can lose, is not known here.
func (f *finder) externalStore(silent []string) {
	e := f.s.Etcd
	if e.Available {
		if len(silent) > 0 {
			f.add(Warning, "store", fmt.Sprintf("%d of the %d endpoints of the external etcd answer: %s not answering", len(e.Answering), len(e.Voters), isAre(silent)),
				"the store answers; how many more of its members it can lose, its operators know", "look at "+list(silent)+" and at the network to it; whose members are gone, etcdctl endpoint status --cluster shows")
		}
		return
	}
	do := "look at the external etcd (etcdctl endpoint status --cluster) and at the network to it: all re-arms by itself"
	if f.v.Permit.Valid && f.v.Role != RoleWitness {
		do += ". Do not restart basculed where guests run: their permit would end"
	}
	f.add(Critical, "store", "the store (an external etcd) is away"+f.since(e.Since)+": nothing is started, moved or fenced meanwhile",
		joined(fmt.Sprintf("%d of %d endpoints answer", len(e.Answering), len(e.Voters)), e.Reason, f.livesOn()), do)
}

// heard says what gossip knows of voters that do not answer: whether the node or only its etcd is gone.
func (f *finder) heard(voters []string) string {
	var alive, silent []string
	for _, n := range voters {
		switch gossipWord(f.v, ha.NodeName(n)) {
		case "alive":
			alive = append(alive, n)
		case "silent", "leaving":
			silent = append(silent, n)
		}
	}
	var parts []string
	if len(silent) > 0 {
		parts = append(parts, "gossip hears nothing of "+list(silent)+" either")
	}
	if len(alive) > 0 {
		parts = append(parts, "gossip still hears "+list(alive)+": only etcd is gone there")
	}
	return strings.Join(parts, "; ")
}

// livesOn says what becomes of the guests here while the store is away.
func (f *finder) livesOn() string {
	switch {
	case f.v.Role == RoleWitness:
		return ""
	case f.v.Permit.Valid:
		return "the guests here go on under a permit: " + f.v.Permit.Reason
	}
	return "the guests here have no permit and are stopped"
}

// staleAfter is how old a snapshot may be, with the store there, before that is worth a word.
const staleAfter = 30 * time.Second

// snapshot tells that nothing is known, or only old things.
func (f *finder) snapshot() {
	if f.v.SnapshotOK {
		if f.v.Store.Available && f.v.SnapshotAge > staleAfter {
			f.add(Warning, "store", fmt.Sprintf("%s last read the store %s ago: nodes and guests may be in other states by now", f.v.Self, Ago(f.v.SnapshotAge)),
				"its watch of the store hangs although the store answers", "ask another node (hactl --node ADDRESS status) and look at basculed's log here (journalctl -u basculed)")
		}
		return
	}
	f.add(Critical, "store", fmt.Sprintf("%s has not read the store since it started: the state of nodes and guests is not known here", f.v.Self),
		f.s.Etcd.Reason, "ask another node (hactl --node ADDRESS status); if none answers, bring a majority of the voters back")
}

// leader tells that nobody leads although the store answers.
func (f *finder) leader() {
	if !f.v.Store.Available || !f.v.SnapshotOK || f.s.Leader != "" {
		return
	}
	f.add(Critical, "cluster", "no node leads: nothing is recovered or fenced until one does",
		"an election takes seconds; nodes that just started wait until the longest permit that could exist has passed",
		"wait 30 s; if it stays so, look at basculed's log on every node (journalctl -u basculed)")
}

// proxmoxQuorum tells that corosync, whose quorum is not etcd's, has lost it here or on another living node.
func (f *finder) proxmoxQuorum() {
	do := "look at pvecm status and at corosync's network; with two nodes add a QDevice"
	if q := f.s.Quorum; q.Known && !q.Quorate && f.v.Role != RoleWitness {
		f.add(Critical, nodeSubject(f.v.Self), fmt.Sprintf("Proxmox has no quorum on %s: it can start no guest and take none over", f.v.Self),
			fmt.Sprintf("corosync sees only %s (/etc/pve is read-only)", orNobody(q.Online)), do)
	}
	for _, n := range f.s.Nodes {
		r, known := f.v.Snapshot.Reports[n.Name]
		if !known || n.Name == f.v.Self || n.Witness || !n.Lease || r.Rec.Quorate {
			continue
		}
		f.add(Warning, nodeSubject(n.Name), fmt.Sprintf("%s reports that Proxmox has no quorum there: no guest is placed on it", n.Name),
			fmt.Sprintf("its corosync sees only %s", orNobody(r.Rec.CorosyncOnline)), do)
	}
}

func orNobody(names []ha.NodeName) string {
	if len(names) == 0 {
		return "no node"
	}
	return list(sorted(names))
}

func isAre(names []string) string {
	if len(names) == 1 {
		return names[0] + " is"
	}
	return list(names) + " are"
}
