package api

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"bascule/ha"
)

// FenceTest is the answer of GET /v1/fence-test?node=NODE: the fencing levels of one node or of all, walked without switching
// anything. Every device was only read, by the node that answers.
type FenceTest struct {
	Node        ha.NodeName     `json:"node"` // who read the devices
	At          time.Time       `json:"at"`
	Leader      ha.NodeName     `json:"leader"`               // who would use them; empty: none
	SnapshotAge float64         `json:"snapshot_age_seconds"` // how old the records are that it was judged by
	Nodes       []FenceTestNode `json:"nodes"`
}

// FenceTestNode is what would happen were the node to die now.
type FenceTestNode struct {
	Node        ha.NodeName         `json:"node"`
	State       ha.NodeState        `json:"state"`
	Incarnation ha.Incarnation      `json:"incarnation"`
	Provable    bool                `json:"provable"` // at least one device could prove it off today, or reset it so that its next boot does
	Verdict     string              `json:"verdict"`
	Levels      [][]FenceTestDevice `json:"levels"` // tried in order, the devices of one together
	SelfFence   FenceTestSelf       `json:"self_fence"`
}

// FenceTestDevice is one step of a level.
type FenceTestDevice struct {
	Name     string        `json:"name"`
	Method   string        `json:"method"`
	Kind     ha.DeviceKind `json:"kind"`
	Would    string        `json:"would"`             // off, revoke, poison, reset, by hand
	Read     bool          `json:"read"`              // it was asked just now
	Took     int64         `json:"took_ms"`           // how long it took to answer or to fail; without the wait for its turn
	Answer   string        `json:"answer,omitempty"`  // what it said
	Problem  string        `json:"problem,omitempty"` // why it said nothing, or what is wrong with what it said
	Fault    string        `json:"fault,omitempty"`   // the kind of a device's own problem: rights, unsupported, unreachable, auth …
	Usable   bool          `json:"usable"`            // it would lead to its proof today
	Why      string        `json:"why,omitempty"`     // why not
	Proof    ha.ProofKind  `json:"proof"`
	Storages []string      `json:"storages,omitempty"`      // StorageRevoked: what it would be about
	After    float64       `json:"after_seconds,omitempty"` // PoisonPill: how long after the message was read back
}

// FenceTestSelf is the proof by time: the node's own watchdog.
type FenceTestSelf struct {
	Armed    bool    `json:"armed"`
	Watchdog string  `json:"watchdog,omitempty"`
	After    float64 `json:"after_seconds,omitempty"` // after its lease has ended
	Why      string  `json:"why,omitempty"`           // why there is none
}

// FenceTestLimit bounds one fence test: twice the longest device_timeout (10 s), and a little.
const FenceTestLimit = 25 * time.Second

// fenceTest has the devices read. Nothing is stored, nothing is switched.
func (s *Server) fenceTest(w http.ResponseWriter, r *http.Request) {
	node := ha.NodeName(r.URL.Query().Get("node"))
	if e := checkFenceTest(s.backend.View(), node); e != nil {
		s.fail(w, e)
		return
	}
	since, ok := s.testing.take(s.now())
	if !ok {
		s.fail(w, conflict(fmt.Sprintf("a fence test runs here already (begun %s ago)", Ago(s.now().Sub(since))),
			fmt.Sprintf("ask again when it is over (it takes at most %v): the devices have few sessions, and the leader needs them too", FenceTestLimit)))
		return
	}
	defer s.testing.give()
	longer(w, FenceTestLimit)
	ctx, cancel := context.WithTimeout(r.Context(), FenceTestLimit)
	defer cancel()
	t := s.backend.FenceTest(ctx, node)
	for i := range t.Nodes {
		t.Nodes[i].judge()
	}
	s.answer(w, http.StatusOK, t)
}

// checkFenceTest says why a test makes no sense, nil if it does. An empty name means all.
func checkFenceTest(v View, node ha.NodeName) *Error {
	if !v.SnapshotOK {
		return &Error{Code: http.StatusServiceUnavailable, Message: "the store has not been read since basculed started here, so nothing is known of the nodes",
			Do: "wait until hactl status shows them, or ask another node (hactl --node ADDRESS)"}
	}
	if node == "" {
		return nil
	}
	st := BuildStatus(v)
	i := slices.IndexFunc(st.Nodes, func(n Node) bool { return n.Name == node })
	switch {
	case i < 0:
		return unknownNode(st, node)
	case st.Nodes[i].Witness:
		return conflict(fmt.Sprintf("%s is a witness: it runs no guests and is never fenced", node), "name another node, or none to test all")
	}
	return nil
}
