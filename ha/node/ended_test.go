package node

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"bascule/ha"
)

func proofOf(t *testing.T, kind ha.ProofKind, n ha.NodeName, inc ha.Incarnation) ha.Proof {
	t.Helper()
	var p ha.Proof
	if err := json.Unmarshal([]byte(fmt.Sprintf(`{"kind":%q,"node":%q,"incarnation":%q}`, kind, n, inc)), &p); err != nil {
		t.Fatal(err)
	}
	return p
}

// TestWhoseLeftoversMayBeCleared: only those of a boot that is proven dead as a whole, by the addresses that this very boot published.
func TestWhoseLeftoversMayBeCleared(t *testing.T) {
	type is struct {
		proof  ha.ProofKind // "": none
		proven ha.Incarnation
		latest ha.Incarnation // on the node's record
		report ha.Incarnation // whose report is stored
		lease  bool           // it is registered again
		from   []ha.NodeName
		node   ha.NodeName // assigned to
	}
	dead := is{ha.PowerOffConfirmed, "b2", "b2", "b2", false, []ha.NodeName{"n2"}, "n1"}
	with := func(f func(*is)) is { x := dead; f(&x); return x }
	for _, c := range []struct {
		name string
		x    is
		want []string
	}{
		{"proven off", dead, []string{"ip:10.0.5.2"}},
		{"ended by its watchdog", with(func(x *is) { x.proof = ha.SelfFenceElapsed }), []string{"ip:10.0.5.2"}},
		{"an operator's word", with(func(x *is) { x.proof = ha.OperatorConfirmed }), []string{"ip:10.0.5.2"}},
		{"no proof", with(func(x *is) { x.proof = "" }), nil},
		{"a proof about storages only", with(func(x *is) { x.proof = ha.StorageRevoked }), nil},
		{"it released the guest and lives", with(func(x *is) { x.proof, x.lease = "", true }), nil},
		{"it has booted again", with(func(x *is) { x.lease = true }), nil},
		{"a newer boot is on record", with(func(x *is) { x.latest = "b3" }), nil},
		{"the addresses are a newer boot's", with(func(x *is) { x.report = "b3" }), nil},
		{"the proof is about an older boot", with(func(x *is) { x.proven = "b1" }), nil},
		{"the guest is not from there", with(func(x *is) { x.from = []ha.NodeName{"n3"} }), nil},
		{"from nowhere", with(func(x *is) { x.from = nil }), nil},
		{"the guest is not ours", with(func(x *is) { x.node = "n3" }), nil},
	} {
		s, _ := ha.DecodeSnapshot(1, nil)
		rec := ha.NodeRecord{Node: "n2", Incarnation: c.x.latest}
		if c.x.proof != "" {
			rec.Proofs = []ha.Proof{proofOf(t, c.x.proof, "n2", c.x.proven)}
		}
		s.Nodes["n2"] = ha.Versioned[ha.NodeRecord]{Rec: rec}
		s.Reports["n2"] = ha.Versioned[ha.NodeReport]{Rec: ha.NodeReport{Node: "n2", Incarnation: c.x.report, Clients: []string{"ip:10.0.5.2"}}}
		s.Reports["n3"] = ha.Versioned[ha.NodeReport]{Rec: ha.NodeReport{Node: "n3", Incarnation: "b3", Clients: []string{"ip:10.0.5.3"}}}
		if c.x.lease {
			s.Leases["n2"] = ha.Versioned[ha.LeaseRecord]{Rec: ha.LeaseRecord{Node: "n2", Incarnation: c.x.report}}
		}
		g := ha.GuestRecord{ID: 101, Node: c.x.node, Incarnation: "b1", ConfigFrom: c.x.from}
		if got := (Config{Self: "n1", Incarnation: "b1"}).Ended(g, &s); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// TestAddressesOfTheFencing count as well: the report of a node that is gone for long may be.
func TestAddressesOfTheFencing(t *testing.T) {
	s, _ := ha.DecodeSnapshot(1, nil)
	s.Nodes["n2"] = ha.Versioned[ha.NodeRecord]{Rec: ha.NodeRecord{Node: "n2", Incarnation: "b2", Proofs: []ha.Proof{proofOf(t, ha.PowerOffConfirmed, "n2", "b2")}}}
	s.Fences["n2"] = ha.Versioned[ha.FenceRecord]{Rec: ha.FenceRecord{Node: "n2", Incarnation: "b2", Clients: []string{"ip:10.0.5.2", "ip:10.0.6.2"}}}
	g := ha.GuestRecord{ID: 101, Node: "n1", Incarnation: "b1", ConfigFrom: []ha.NodeName{"n2"}}
	if got := (Config{Self: "n1", Incarnation: "b1"}).Ended(g, &s); !slices.Equal(got, []string{"ip:10.0.5.2", "ip:10.0.6.2"}) {
		t.Errorf("%q", got)
	}
}
