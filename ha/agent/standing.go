package agent

import (
	"context"
	"encoding/json"
	"maps"
	"os"
	"slices"

	"github.com/google/renameio/v2"

	"bascule/ha"
	"bascule/ha/node"
)

// standing is what the other loops need of the machine's state beyond the lease.
type standing struct {
	epoch    node.Epoch
	highest  ha.Generation // only of a store that was ever restored
	promises map[ha.NodeName]ha.Instant
	members  []ha.NodeName
	listRev  int64
}

// keepRevEvery is how many revisions of the store may be forgotten by a restart: the file is not written for each.
const keepRevEvery = 1000

func standingOf(s node.State) standing {
	st := standing{epoch: s.Epoch, promises: s.Promises, members: s.Members, listRev: s.ListRev}
	if s.Epoch.WentBack || s.Epoch.Known > 1 { // a restored store may know of lower ones only
		st.highest = s.Highest()
	}
	st.epoch.Since = 0
	st.epoch.Rev -= st.epoch.Rev % keepRevEvery
	return st
}

func (s standing) equal(o standing) bool {
	return s.epoch == o.epoch && s.highest == o.highest && s.listRev == o.listRev && slices.Equal(s.members, o.members) && maps.Equal(s.promises, o.promises)
}

// epoch is what this node knows of the store's lives, as last published.
func (a *Agent) epoch() node.Epoch {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.standing.epoch
}

// seenFile is what is kept over restarts and boots.
type seenFile struct {
	Epoch   ha.Epoch      `json:"epoch"`
	Rev     int64         `json:"rev"`
	ListRev int64         `json:"list_rev"`
	Members []ha.NodeName `json:"members"`
}

// keepSeen writes it. Failing costs only that a rollback of the store while this node is down may go unnoticed by it.
func (a *Agent) keepSeen(s standing) {
	if s.epoch.WentBack { // what was seen before stays on file until the new epoch
		return
	}
	b := ha.Encode(seenFile{Epoch: s.epoch.Known, Rev: s.epoch.Rev, ListRev: s.listRev, Members: s.members})
	if err := renameio.WriteFile(a.cfg.SeenFile, b, 0o600); err != nil {
		a.log.WithField("reason", err.Error()).Warn("cannot keep how far the store had come; a restore while this node is down may go unnoticed")
	}
}

// kept is what the machine starts with.
func (a *Agent) kept(ctx context.Context) node.Kept {
	var f seenFile
	if b, err := os.ReadFile(a.cfg.SeenFile); err == nil {
		if err := json.Unmarshal(b, &f); err != nil {
			a.log.WithField("reason", err.Error()).Warn("what was kept about the store cannot be read; going on without")
		}
	}
	k := node.Kept{Epoch: f.Epoch, Rev: f.Rev, Members: f.Members, ListRev: f.ListRev}
	k.Lease, k.Deadline = a.adoptable(ctx)
	return k
}
