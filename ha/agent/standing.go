package agent

import (
	"context"
	"encoding/json"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/google/renameio/v2"

	"bascule/ha"
	"bascule/ha/ladder"
	"bascule/ha/node"
)

// standing is what the other loops need of the machine's state beyond the lease.
type standing struct {
	epoch    node.Epoch
	highest  ha.Generation // only of a store that was ever restored
	promises map[ha.NodeName]ha.Instant
	members  []ha.NodeName
	listRev  int64
	longest  time.Duration
	off      map[ha.NodeName]ladder.Memory
}

func standingOf(s node.State, own time.Duration) standing {
	st := standing{epoch: s.Epoch, promises: s.Promises, members: s.Members, listRev: s.ListRev, longest: max(own, s.Longest), off: s.Off}
	if s.Epoch.WentBack || s.Epoch.Known > 1 { // a restored store may know of lower ones only
		st.highest = s.Highest()
	}
	st.epoch.Since = 0
	return st
}

// equal compares what others act on; how far the store has come changes all the time and concerns nobody but the next verification.
func (s standing) equal(o standing) bool {
	s.epoch.Rev, o.epoch.Rev = 0, 0
	return s.epoch == o.epoch && s.highest == o.highest && s.listRev == o.listRev && slices.Equal(s.members, o.members) && maps.Equal(s.promises, o.promises)
}

// epoch is what this node knows of the store's lives, as last published.
func (a *Agent) epoch() node.Epoch {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.standing.epoch
}

// readOff is what this node has read of members' power that is off.
func (a *Agent) readOff() map[ha.NodeName]ladder.Memory {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.standing.off
}

// seenFile is what is kept over restarts and boots.
type seenFile struct {
	Epoch   ha.Epoch      `json:"epoch"`
	Rev     int64         `json:"rev"`
	ListRev int64         `json:"list_rev"`
	Members []ha.NodeName `json:"members"`
	Longest time.Duration `json:"longest_ttl"` // by which anything may have been promised
}

// keepRevEvery is how many revisions of the store may be forgotten by a restart: the file is not written for each.
const keepRevEvery = 1000

// seen is what of it is kept.
func (s standing) seen() seenFile {
	return seenFile{Epoch: s.epoch.Known, Rev: s.epoch.Rev - s.epoch.Rev%keepRevEvery, ListRev: s.listRev, Members: s.members, Longest: s.longest}
}

func (f seenFile) equal(o seenFile) bool {
	return f.Epoch == o.Epoch && f.Rev == o.Rev && f.ListRev == o.ListRev && f.Longest == o.Longest && slices.Equal(f.Members, o.Members)
}

// keepSeen hands over what is to be kept, the newest only: the machine's loop waits for no disk. After a rollback what was seen before
// stays on file until the new epoch.
func (a *Agent) keepSeen(s standing) {
	for f := s.seen(); !s.epoch.WentBack; {
		select {
		case a.seen <- f:
			return
		default:
		}
		select {
		case <-a.seen:
		default:
		}
	}
}

// seenLoop writes it. Failing costs only that a rollback of the store while this node is down may go unnoticed by it.
func (a *Agent) seenLoop(ctx context.Context) error {
	for {
		select {
		case f := <-a.seen:
			if err := renameio.WriteFile(a.cfg.SeenFile, ha.Encode(f), 0o600); err != nil {
				a.log.WithField("reason", err.Error()).Warn("cannot keep how far the store had come; a restore while this node is down may go unnoticed")
			}
		case <-ctx.Done():
			return nil
		}
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
	k := node.Kept{Epoch: f.Epoch, Rev: f.Rev, Members: f.Members, ListRev: f.ListRev, Longest: f.Longest}
	k.Lease, k.Deadline = a.adoptable(ctx)
	return k
}
