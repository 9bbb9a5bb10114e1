package api

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"bascule/ha"
)

// RequestBody is what a POST of an operator's request carries.
type RequestBody struct {
	Node  ha.NodeName `json:"node"`
	By    string      `json:"by,omitempty"`    // the person, in addition to what the connection proves
	Force bool        `json:"force,omitempty"` // the operator overrules CheckRequest's judgement of the node's state
	// Device is the fencing device that a confirm-test is about.
	Device string `json:"device,omitempty"`
}

// RequestAnswer says under which id the request was committed.
type RequestAnswer struct {
	ID          string         `json:"id"`
	Incarnation ha.Incarnation `json:"incarnation,omitempty"` // the one that it is about
}

// CheckRequest says why a request makes no sense in a status, nil if it does. Force overrules what depends on judging
// a node's state, never that the node must be known. hactl asks it before it asks the operator, the server before
// it commits.
func CheckRequest(s Status, kind ha.RequestKind, name ha.NodeName, force bool) *Error {
	i := slices.IndexFunc(s.Nodes, func(n Node) bool { return n.Name == name })
	if i < 0 {
		return unknownNode(s, name)
	}
	n := s.Nodes[i]
	switch kind {
	case ha.RequestDrain:
		if n.Witness {
			return conflict(fmt.Sprintf("%s is a witness and runs no guests", name), "nothing to drain: it can simply be stopped")
		}
	case ha.RequestFence:
		return checkFence(n, n.Name == s.Leader, force)
	case ha.RequestConfirmOff:
		rebuilding := slices.ContainsFunc(s.Guests, func(g Guest) bool { return g.State == ha.GuestFrozen })
		return checkConfirmOff(n, force, rebuilding)
	case ha.RequestConfirmTest:
		return checkConfirmTest(n)
	}
	return nil
}

// checkConfirmTest wants a node that works: a test tells of the machine that is there now.
func checkConfirmTest(n Node) *Error {
	if !n.Lease || n.State == ha.NodeFencing || n.State == ha.NodeFenced || n.State == ha.NodeSuspect {
		return conflict(fmt.Sprintf("%s is %s: a device is confirmed for a node that works, after it was switched off and on with it", n.Name, n.State),
			"start the node again, wait until hactl status shows it online, then repeat this")
	}
	return nil
}

func checkFence(n Node, leads, force bool) *Error {
	switch {
	case n.Incarnation == "":
		return conflict(fmt.Sprintf("%s has never registered: there is nothing to fence", n.Name), "start basculed there first, or look at the member list")
	case force:
		return nil
	case leads:
		return conflict(fmt.Sprintf("%s leads the cluster and cannot prove its own end", n.Name), fmt.Sprintf("systemctl stop basculed on %s, so that another node leads, then ask again", n.Name))
	case n.State == ha.NodeFencing && n.Held != "": // the operator's word makes it begin
		return nil
	case n.State == ha.NodeFencing:
		return conflict(fmt.Sprintf("%s is being fenced already", n.Name), "hactl status shows how far it is")
	case n.State == ha.NodeFenced:
		return conflict(fmt.Sprintf("%s is fenced already: it is proven off", n.Name), "hactl status shows the proof")
	}
	return nil
}

// checkConfirmOff refuses the confirmation where the node is seen alive: a wrong one runs guests twice. While guests are frozen after a restore
// of the store (rebuilding), members that left, were fenced by time alone or have no record are waited for, too.
func checkConfirmOff(n Node, force, rebuilding bool) *Error {
	again := fmt.Sprintf("if you have just switched it off, wait until hactl status no longer shows %s online; if you know better, --force", n.Name)
	switch {
	case n.Incarnation == "" && !rebuilding:
		return conflict(fmt.Sprintf("%s has never registered: there is no life of it to confirm the end of", n.Name), "hactl status shows which nodes are waited for")
	case force:
		return nil
	case n.State == ha.NodeOnline || n.State == ha.NodeDraining || n.State == ha.NodeQuarantined:
		return conflict(fmt.Sprintf("%s is %s: it is not off", n.Name, n.State), again)
	case n.Lease:
		return conflict(fmt.Sprintf("%s is %s and still holds its lease: it may be running", n.Name, n.State), again)
	case rebuilding:
		return nil
	case n.State == ha.NodeFenced:
		return conflict(fmt.Sprintf("%s is fenced already: nothing waits for a confirmation", n.Name), "hactl status shows what else is missing")
	case n.State == ha.NodeOffline:
		return conflict(fmt.Sprintf("%s left in order: nothing waits for a confirmation", n.Name), "hactl status shows what else is missing")
	}
	return nil
}

func unknownNode(s Status, name ha.NodeName) *Error {
	return conflict("the cluster knows no node "+fmt.Sprintf("%q", name), "name one of: "+nodeNames(s))
}

func nodeNames(s Status) string {
	var names []string
	for _, n := range s.Nodes {
		names = append(names, string(n.Name))
	}
	return strings.Join(names, ", ")
}

// buildRequest fills a request from the view: the incarnation is the one that the leader saw registered last, else the
// one being fenced, else the one that holds a lease.
func buildRequest(v View, kind ha.RequestKind, node ha.NodeName, by string, now time.Time, rand io.Reader) (ha.Request, error) {
	id, err := requestID(now, rand)
	if err != nil {
		return ha.Request{}, err
	}
	r := ha.Request{ID: id, Kind: kind, Node: node, By: by, At: now.UTC()}
	if kind == ha.RequestDrain || kind == ha.RequestUndrain {
		return r, nil
	}
	r.Incarnation = cmp.Or(v.Snapshot.Nodes[node].Rec.Incarnation, v.Snapshot.Fences[node].Rec.Incarnation, v.Snapshot.Leases[node].Rec.Incarnation)
	return r, nil
}

// requestID is unique and sorts by time: nanoseconds in fixed width, then 32 random bits.
func requestID(now time.Time, rand io.Reader) (string, error) {
	var b [4]byte
	if _, err := io.ReadFull(rand, b[:]); err != nil {
		return "", fmt.Errorf("request id: no random numbers: %w", err)
	}
	return fmt.Sprintf("%s-%x", now.UTC().Format("20060102T150405.000000000Z"), b), nil
}

// who joins what the connection proves with the name that the caller gives: "alice (root on node1)".
func who(given, proven string) string {
	clean := strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, strings.TrimSpace(given))
	if r := []rune(clean); len(r) > 64 {
		clean = string(r[:64])
	}
	if clean == "" {
		return proven
	}
	return fmt.Sprintf("%s (%s)", clean, proven)
}
