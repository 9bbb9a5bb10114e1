package ha

import "time"

// VoterChange is a voter of the embedded store that is gone, and who votes in its place from now on. Key voter-change, owner: the leader;
// it is stored before anything is done, so that the next leader goes on with it, and removed when By votes or Old answers again.
type VoterChange struct {
	Schema int        `json:"schema"`
	Old    NodeName   `json:"old"`
	By     NodeName   `json:"by,omitempty"`    // empty: nobody can
	Tried  []NodeName `json:"tried,omitempty"` // who was chosen before By and did not come to vote
	Reason string     `json:"reason"`          // why, or why not
	Since  time.Time  `json:"since"`
}

// VoterOrder asks the store's adapter to carry a VoterChange out. It may be repeated until By votes. It is void as soon as Old answers,
// the term is over, or the record has another revision.
type VoterOrder struct {
	Old, By NodeName
	Term    Term
	Rev     int64 // of the record
}
