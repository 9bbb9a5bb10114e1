package ha

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
)

// ProofKind names the sorts of evidence of rule R3.
type ProofKind string

// The kinds of proof. See DESIGN part 3, R3, for what each takes.
const (
	PowerOffConfirmed ProofKind = "PowerOffConfirmed"
	NewBoot           ProofKind = "NewBoot"
	StorageRevoked    ProofKind = "StorageRevoked"
	PoisonPill        ProofKind = "PoisonPill"
	SelfFenceElapsed  ProofKind = "SelfFenceElapsed"
	OperatorConfirmed ProofKind = "OperatorConfirmed"
)

// Proof is evidence that one incarnation of a node can no longer run or write. Its fields are unexported:
// NewProof is called by ha/ladder only (an architecture test enforces that), everybody else reads.
type Proof struct{ p proofData }

type proofData struct {
	Kind        ProofKind   `json:"kind"`
	Node        NodeName    `json:"node"`
	Incarnation Incarnation `json:"incarnation"`
	Storages    []string    `json:"storages,omitempty"` // StorageRevoked: the storages it covers; empty = everything
	Evidence    string      `json:"evidence"`           // for people: which device read what, who confirmed
	At          time.Time   `json:"at"`                 // wall clock of the leader, for people
}

// ErrBadProof means a stored proof lacks what makes it one.
var ErrBadProof = errors.New("not a valid proof")

// NewProof seals evidence. Only ha/ladder may call it.
func NewProof(kind ProofKind, node NodeName, inc Incarnation, storages []string, evidence string, at time.Time) Proof {
	return Proof{proofData{Kind: kind, Node: node, Incarnation: inc, Storages: slices.Clone(storages), Evidence: evidence, At: at.UTC()}}
}

// Kind says what sort of proof it is.
func (p Proof) Kind() ProofKind { return p.p.Kind }

// Node says which node it is about.
func (p Proof) Node() NodeName { return p.p.Node }

// Incarnation says which boot of the node it is about.
func (p Proof) Incarnation() Incarnation { return p.p.Incarnation }

// Storages says which storages a StorageRevoked is about; other proofs are about everything and have none.
func (p Proof) Storages() []string { return slices.Clone(p.p.Storages) }

// Complete says whether the proof covers everything of its incarnation, whatever storages a guest uses.
func (p Proof) Complete() bool { return p.p.Kind != "" && p.p.Kind != StorageRevoked }

// Same says whether two proofs prove the same thing; what people were told about it does not matter.
func (p Proof) Same(q Proof) bool {
	return p.p.Kind == q.p.Kind && p.p.Node == q.p.Node && p.p.Incarnation == q.p.Incarnation && slices.Equal(p.p.Storages, q.p.Storages)
}

// Evidence says for people what was seen.
func (p Proof) Evidence() string { return p.p.Evidence }

// At is the leader's wall clock when the proof was built, for people only.
func (p Proof) At() time.Time { return p.p.At }

// Covers says whether the proof frees a guest with these writable storages from holder h. A proof about power covers
// everything of its incarnation; StorageRevoked only guests all of whose writable disks lie on revoked storages.
func (p Proof) Covers(h Holder, storages []string) bool {
	if p.p.Kind == "" || p.p.Incarnation == "" || p.p.Node != h.Node || p.p.Incarnation != h.Incarnation {
		return false
	}
	if p.p.Kind != StorageRevoked {
		return true
	}
	if len(storages) == 0 {
		return false
	}
	for _, s := range storages {
		if !slices.Contains(p.p.Storages, s) {
			return false
		}
	}
	return true
}

// MarshalJSON writes the proof as the fence record stores it.
func (p Proof) MarshalJSON() ([]byte, error) { return json.Marshal(p.p) }

// UnmarshalJSON reads a proof that a leader committed. It returns ErrBadProof where kind, node or incarnation is missing.
func (p *Proof) UnmarshalJSON(b []byte) error {
	var d proofData
	if err := json.Unmarshal(b, &d); err != nil {
		return fmt.Errorf("proof: %w", err)
	}
	if d.Kind == "" || d.Node == "" || d.Incarnation == "" {
		return fmt.Errorf("proof of %q about node %q: %w", d.Kind, d.Node, ErrBadProof)
	}
	p.p = d
	return nil
}

// MayReassign is rule R1's test: a guest may be assigned anew only when each holder is covered by a proof or has
// itself committed that it released the guest in a generation at least as new as its hold. It returns the first
// holder that stands in the way.
func MayReassign(g *GuestRecord, proofs []Proof, released func(Holder) bool) (blocking Holder, ok bool) {
	for _, h := range g.Holders {
		if !slices.ContainsFunc(proofs, func(p Proof) bool { return p.Covers(h, g.Storages) }) && !released(h) {
			return h, false
		}
	}
	return Holder{}, true
}
