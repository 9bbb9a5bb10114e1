package agent

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"bascule/ha"
	"bascule/ha/node"
)

// How volumes that were left active are dealt with: the pause between two looks, the time that one removal may take, and how many one round
// takes on.
const (
	volumesEvery      = 15 * time.Second
	deactivateTimeout = 5 * time.Second
	deactivateMost    = 16
)

// volumeLoop deactivates volumes on shared volume groups whose guest lives elsewhere: a guest that was killed here, or whose config left
// before Proxmox had cleaned up, leaves its volumes active. It works beside everything else and nothing waits for it: a volume that is only
// mapped writes nothing.
func (a *Agent) volumeLoop(ctx context.Context) error {
	if a.cfg.Storages == nil {
		return nil
	}
	left := node.Left{}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(volumesEvery):
		}
		a.Problem("volumes", a.deactivate(ctx, left))
	}
}

// deactivate takes away what has been left active for long enough, and says what it could not.
func (a *Agent) deactivate(ctx context.Context, left node.Left) (problem string) {
	due := left.Due(a.cfg.Now(), a.leftActive())
	if len(due) == 0 {
		return ""
	}
	var refs []ha.GuestRef
	for _, v := range due {
		refs = append(refs, ha.GuestRef{ID: v.Guest}) // a number is of one guest, whatever its kind
	}
	busy, err := a.cfg.Processes.Find(refs)
	if err != nil {
		return "" // not known who uses them: nothing is touched
	}
	var stays []string
	for i, v := range due {
		name := v.Group + "/" + v.Name
		why := strings.Join(v.Above, ", ")
		switch {
		case slices.ContainsFunc(busy, func(p Process) bool { return p.Guest == v.Guest }): // an incoming migration, perhaps; a stray is ended by others
			continue
		case why != "":
			why = "on it is " + why
		case i >= deactivateMost:
			why = "not tried yet"
		default:
			c, cancel := context.WithTimeout(ctx, deactivateTimeout)
			err := a.cfg.Storages.Deactivate(c, v)
			cancel()
			if err == nil {
				a.log.WithField("guest", int(v.Guest)).WithField("reason", "its guest lives on another node").Infof("volume %s deactivated", name)
				continue
			}
			why = err.Error()
		}
		stays = append(stays, name+" ("+why+")")
	}
	if len(stays) == 0 {
		return ""
	}
	more := ""
	if n := len(stays) - 1; n > 0 {
		more = fmt.Sprintf(" and %d more", n)
	}
	return fmt.Sprintf("volumes of guests that live on other nodes are active here: %s%s; they write nothing by themselves. basculed deactivates them where systemd/storage/deactivate.conf lets it; by hand: lvchange -an %s",
		stays[0], more, strings.Fields(stays[0])[0])
}

// leftActive is what is active here now and belongs to guests elsewhere. Without a permit or corosync's quorum this node does not know where
// guests live.
func (a *Agent) leftActive() []ha.ActiveVolume {
	if !a.Lease().Acts(a.cfg.Now()) || !a.quorate() {
		return nil
	}
	active := a.cfg.Storages.Active()
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.looked || !a.viewOK {
		return nil
	}
	return a.cfg.Node.LeftActive(&a.view, a.inventory, active)
}
