package agent

import (
	"context"
	"reflect"
	"slices"
	"time"

	"bascule/ha"
	"bascule/ha/node"
)

// storageLoop looks at the storages that Proxmox has configured for this node, each by itself and one look at a time. A look that hangs
// holds up nothing but the next one at the same storage.
func (a *Agent) storageLoop(ctx context.Context) error {
	if a.cfg.Storages == nil {
		return nil
	}
	tm := a.cfg.Node.Timing
	busy, next := map[string]bool{}, map[string]ha.Instant{}
	ended := make(chan ha.StorageLook)
	for {
		now := a.cfg.Now()
		for _, p := range a.places() {
			if busy[p.Name] || now < next[p.Name] {
				continue
			}
			busy[p.Name] = true
			go func() {
				c, cancel := context.WithTimeout(ctx, tm.StorageLook())
				defer cancel()
				began := a.cfg.Now()
				l := a.cfg.Storages.Look(c, p)
				l.Took = a.cfg.Now().Sub(began)
				select {
				case ended <- l:
				case <-ctx.Done():
				}
			}()
		}
		select {
		case <-ctx.Done():
			return nil
		case l := <-ended:
			busy[l.Storage] = false
			next[l.Storage] = a.sighted(l).Next(a.cfg.Now(), tm)
		case <-time.After(time.Second):
		}
	}
}

// places are the storages to look at, as the last inventory found them; what is known of others is forgotten.
func (a *Agent) places() []ha.StoragePlace {
	a.mu.Lock()
	defer a.mu.Unlock()
	for name := range a.sights {
		if a.looked && !slices.ContainsFunc(a.inventory.Places, func(p ha.StoragePlace) bool { return p.Name == name }) {
			delete(a.sights, name)
		}
	}
	return slices.Clone(a.inventory.Places)
}

// sighted takes in a look. The report is written anew when it says something else than the one before.
func (a *Agent) sighted(l ha.StorageLook) node.Sight {
	a.mu.Lock()
	was := a.sights[l.Storage]
	is := was.After(l, time.Now())
	a.sights[l.Storage] = is
	a.mu.Unlock()
	if was.State != is.State {
		log := a.log.WithField("storage", l.Storage).WithField("reason", l.Problem)
		switch {
		case is.State.Lost():
			log.Errorf("storage %s: %s -> %s", l.Storage, was.State, is.State)
		case is.State == ha.StorageDoubtful:
			log.Warnf("storage %s: %s -> %s", l.Storage, was.State, is.State)
		default:
			log.Infof("storage %s: %s -> %s", l.Storage, was.State, is.State)
		}
	}
	was.Fails, was.Slow, was.Since = is.Fails, is.Slow, is.Since
	if !reflect.DeepEqual(was, is) {
		a.reports.wake()
	}
	return is
}

// lostHere says which of the named storages this node's own looks find lost, with the reason.
func (a *Agent) lostHere(names []string) (name, why string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, n := range names {
		if s := a.sights[n]; s.State.Lost() {
			return n, s.Problem
		}
	}
	return "", ""
}

// clearTimeout bounds the clearing of one storage's images before a start.
const clearTimeout = 5 * time.Second

// clearLeftovers takes away what proven dead nodes left on the guest's images: locks that its start would wait for. It never fails a start:
// what is left runs out by itself.
func (a *Agent) clearLeftovers(ctx context.Context, d node.Do) {
	a.mu.Lock()
	dead := a.cfg.Node.Ended(d.Record, &a.view)
	places := slices.Clone(a.inventory.Places)
	a.mu.Unlock()
	if a.cfg.Storages == nil || len(dead) == 0 {
		return
	}
	log := a.log.WithField("guest", int(d.Guest))
	volumes, err := a.cfg.Proxmox.Volumes(ctx, d.Guest, d.Kind)
	if err != nil {
		log.WithField("reason", err.Error()).Warn("cannot look for what its dead node left on its disks")
		return
	}
	for _, p := range places {
		var images []string
		for _, v := range volumes {
			if v.Storage == p.Name {
				images = append(images, v.Name)
			}
		}
		if len(images) == 0 {
			continue
		}
		c, cancel := context.WithTimeout(ctx, clearTimeout)
		did, err := a.cfg.Storages.Clear(c, p, images, dead)
		cancel()
		for _, what := range did {
			log.WithField("reason", "its owner is proven dead").Warn(what)
		}
		if err != nil {
			log.WithField("reason", err.Error()).Warnf("not everything that its dead node left on storage %s could be cleared; it runs out by itself", p.Name)
		}
	}
}
