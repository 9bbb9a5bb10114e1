package cephblocklist

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"time"

	"bascule/fencing"
)

// watchPause is the time between two looks at watches that are about to vanish.
const watchPause = 50 * time.Millisecond

// margin is what an answer needs to come back before the call ends.
const margin = 100 * time.Millisecond

func denied(e *callError) bool { return e.errno == syscall.EACCES || e.errno == syscall.EPERM }

// enforced proves that the addresses, all of them on the blocklist of m, can write to none of the pools; nil is the proof.
//
// An OSD looks a client up in the map of the placement group, which may be older than the list (OSDs get maps lazily). So each group is
// asked for something with a request that carries the newest map: it is answered only by an OSD that leads the group in that map and
// applies that map to it (Linux commit bb229bbb3bf6 relies on the same). If an OSD that led the group before is cut off and takes writes by an
// older map, the others no longer acknowledge them: an active group has heard from at least one of each set that could have
// completed writes. What a group took in before is ordered before all that comes later.
func (s *session) enforced(m *osdMap, addrs []netip.Addr) error {
	pools, err := m.choose(s.d.s.pools)
	if err != nil {
		return err
	}
	for _, p := range pools {
		if err := s.barrier(p, s.left()-margin); err != nil {
			return err
		}
	}
	for _, p := range pools {
		if err := s.unwatched(p, addrs); err != nil {
			return err
		}
	}
	after, err := s.osdMap()
	if err != nil {
		return err
	}
	now, err := after.choose(s.d.s.pools)
	if err != nil {
		return err
	}
	open, short, err := after.cover(addrs, time.Now())
	switch {
	case err != nil:
		return err
	case len(open)+len(short) > 0 || !sameGroups(pools, now):
		return fmt.Errorf("%w: the blocklist or the placement groups changed during the look at them", fencing.ErrTimeout)
	}
	return nil
}

// barrier asks every placement group of a pool once, with the newest map.
func (s *session) barrier(p pool, within time.Duration) error {
	names, err := probes(p.PGs)
	if err != nil {
		return err
	}
	var got struct {
		Rets []*int `json:"rets"`
	}
	doing := "ask the placement groups of pool " + p.Name
	if err := s.ask(map[string]any{"op": "stat", "pool": p.Name, "objects": names, "seconds": within.Seconds()}, &got); err != nil {
		return s.d.explain(doing, err)
	}
	if len(got.Rets) != len(names) {
		return fmt.Errorf("%w: %d answers of %d placement groups", fencing.ErrRubbish, len(got.Rets), len(names))
	}
	var silent []string
	for i, ret := range got.Rets {
		switch {
		case ret == nil:
			silent = append(silent, fmt.Sprintf("%d.%x", p.ID, i))
		case *ret != 0 && *ret != -int(syscall.ENOENT): // anything else was said before the map was looked at, or by nobody
			return s.d.explain(doing, &callError{syscall.Errno(-*ret), syscall.Errno(-*ret).Error()})
		}
	}
	if len(silent) > 0 {
		return fmt.Errorf("%w: %d of %d placement groups of pool %s do not say that they enforce it (%s): they may be led by OSDs of the dead node that count as up still; see ceph health, and mark_down",
			fencing.ErrTimeout, len(silent), len(names), p.Name, fencing.Printable(strings.Join(silent[:min(len(silent), 8)], " "), 120))
	}
	return nil
}

// unwatched waits until none of the addresses has an image of the pool open. Groups end the watches of whom they block; a watch that
// stays says that something is not as we think, and would keep the next owner from the image's lock.
func (s *session) unwatched(p pool, addrs []netip.Addr) error {
	for {
		list, err := s.watchers(p)
		if err != nil {
			return err
		}
		still := ""
		for _, w := range list {
			a, _, _, err := parseEntity(w.Addr)
			if err != nil {
				return errors.Join(err, fmt.Errorf("who watches %s", s.clean(w.Image)))
			}
			if slices.Contains(addrs, a) {
				still = fmt.Sprintf("%s has %s open", a, s.clean(w.Image))
			}
		}
		if still == "" {
			return nil
		}
		if s.left() < margin+watchPause {
			return fmt.Errorf("%w: on the blocklist, yet %s still: Ceph ends such a watch within 30 s", fencing.ErrTimeout, still)
		}
		time.Sleep(watchPause)
	}
}
