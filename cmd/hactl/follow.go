package main

import (
	"fmt"
	"time"

	"bascule/ha"
	"bascule/ha/api"
)

// follower remembers what a drain looked like, to tell what changed. It has no clock and no I/O.
type follower struct {
	node   string
	seen   map[ha.VMID]place // of the guests that were on the node, as told last
	state  ha.NodeState
	drain  bool // the leader has taken the drain up
	silent bool // the daemon did not answer last time
}

type place struct {
	state        ha.GuestState
	node, target ha.NodeName
	reason       string
}

// line is one change of a guest or of the node itself.
type line struct {
	text   string
	At     time.Time    `json:"at"`
	Node   ha.NodeName  `json:"node"`
	Guest  ha.VMID      `json:"vmid,omitempty"`
	State  string       `json:"state"`
	Target ha.NodeName  `json:"target,omitempty"`
	Reason string       `json:"reason"`
	Kind   ha.GuestKind `json:"kind,omitempty"`
}

func newFollower(node string, before api.Status) *follower {
	f := &follower{node: node, seen: map[ha.VMID]place{}}
	for _, g := range before.Guests {
		if string(g.Node) == node && g.State != ha.GuestUnprotected {
			f.seen[g.VMID] = place{}
		}
	}
	return f
}

// changes returns one line for the node and one for each of its guests that changed since the last call.
func (f *follower) changes(s *screen, st api.Status) []line {
	var out []line
	if f.silent {
		f.silent = false
		out = append(out, f.say(s, st, line{State: "answers", Reason: "basculed answers again"}, "basculed", nil))
	}
	if n, ok := findNode(st, f.node); ok && n.State != f.state {
		f.state = n.State
		out = append(out, f.say(s, st, line{Node: n.Name, State: string(n.State), Reason: n.Reason}, f.node, func(w string) string { return s.paint(w, nodeColour(n.State)...) }))
	}
	for _, g := range st.Guests {
		last, ours := f.seen[g.VMID]
		now := place{g.State, g.Node, g.Target, g.Reason}
		if !ours || now == last || g.State == ha.GuestUnprotected {
			continue
		}
		f.seen[g.VMID] = now
		if last == (place{}) && g.State == ha.GuestStarted && string(g.Node) == f.node {
			continue // as it was when the drain began
		}
		out = append(out, f.guest(s, st, g))
	}
	return out
}

func (f *follower) guest(s *screen, st api.Status, g api.Guest) line {
	l := line{Node: g.Node, Guest: g.VMID, Kind: g.Kind, State: string(g.State), Target: g.Target, Reason: g.Reason}
	shown := "on " + string(g.Node)
	if g.Target != "" {
		shown = "to " + string(g.Target)
	}
	label := g.Kind.Label(g.VMID)
	if g.Name != "" {
		label += " " + g.Name
	}
	return f.say(s, st, l, label, func(w string) string { return s.paint(w, guestColour(g.State)...) + " " + shown })
}

func (f *follower) say(s *screen, st api.Status, l line, label string, state func(string) string) line {
	word := l.State
	if state != nil {
		word = state(word)
	}
	l.At = st.At
	l.text = s.wrapped(fmt.Sprintf("%s  %s  %s  ", s.dim(st.At.Local().Format(time.TimeOnly)), s.bold(fmt.Sprintf("%-18s", label)), word), l.Reason)
	return l
}

// lost says once that nobody answers.
func (f *follower) lost(s *screen) string {
	if f.silent {
		return ""
	}
	f.silent = true
	return s.wrapped("", "basculed does not answer; the drain goes on, asking again …")
}

// ended says whether the drain has ended; an error says that it ended otherwise than asked.
func (f *follower) ended(st api.Status) (bool, error) {
	n, ok := findNode(st, f.node)
	switch {
	case !ok:
		return true, &exitError{exitDegraded, fmt.Sprintf("%s is no member any more", f.node)}
	case n.State == ha.NodeFencing || n.State == ha.NodeFenced:
		return true, &exitError{exitDegraded, fmt.Sprintf("%s is %s: its guests are recovered, not moved; hactl status follows that", f.node, n.State)}
	case f.drain && !n.Drain:
		return true, &exitError{exitDegraded, fmt.Sprintf("somebody took the drain of %s back; what has moved stays moved", f.node)}
	}
	f.drain = n.Drain
	if n.Drain && n.State == ha.NodeDraining && onlyPinnedLeft(st, n.Name) {
		return true, &exitError{exitDegraded, fmt.Sprintf("only guests that cannot be moved are left on %s: stop them, or move them by hand; %s is drained when they are gone, and takes no new guests meanwhile", f.node, f.node)}
	}
	return n.Drain && n.State == ha.NodeMaintenance, nil
}

// onlyPinnedLeft says whether nothing that still holds a drain up can leave by itself.
func onlyPinnedLeft(st api.Status, node ha.NodeName) bool {
	left := false
	for _, g := range st.Guests {
		if g.Node != node || g.Requested != ha.RequestedStarted || g.State == ha.GuestError || g.State == ha.GuestUnprotected {
			continue
		}
		if g.Pinned == "" || g.Target != "" {
			return false
		}
		left = true
	}
	return left
}

// pinnedText lists the guests of a node that cannot be moved, and why.
func pinnedText(s *screen, st api.Status, node string) string {
	out := ""
	for _, g := range st.Guests {
		if string(g.Node) != node || g.Pinned == "" || g.State == ha.GuestUnprotected {
			continue
		}
		if out == "" {
			out = s.bold("These cannot be moved:") + "\n"
		}
		out += s.wrapped(fmt.Sprintf("  %s %s  ", g.Kind.Label(g.VMID), g.Name), g.Pinned)
	}
	return out
}
