package storage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"bascule/ha"
)

// locker is a lock on an image, watcher a client that has it open.
type (
	locker struct {
		ID      string `json:"id"`
		Locker  string `json:"locker"`
		Address string `json:"address"`
	}
	watcher struct {
		Address string `json:"address"`
	}
)

// Clear takes away what dead clients left on a guest's RBD images: their locks (Ceph puts the owner on its blocklist with that), then their
// watches, by an entry for exactly that client process. dead are the addresses that the dead machine published ("ip:10.0.5.12"): what
// belongs to any other address is left alone and only told. It returns what it did. Without it a start waits for the watch's end, 30 s.
func (l *Looker) Clear(ctx context.Context, p ha.StoragePlace, images, dead []string) (did []string, err error) {
	addrs := addresses(dead)
	if p.Type != "rbd" || len(addrs) == 0 {
		return nil, nil
	}
	var failed []error
	for _, image := range images {
		done, err := l.clear(ctx, p, l.pool(p)+"/"+image, addrs)
		did = append(did, done...)
		if err != nil {
			failed = append(failed, fmt.Errorf("image %s: %w", image, err))
		}
	}
	return did, errors.Join(failed...)
}

func (l *Looker) clear(ctx context.Context, p ha.StoragePlace, image string, dead []netip.Addr) (did []string, err error) {
	var locks []locker
	if err := l.rbdJSON(ctx, p, &locks, "lock", "ls", image); err != nil {
		return nil, err
	}
	for _, k := range locks {
		if !from(k.Address, dead) {
			continue
		}
		if err := l.rbdRun(ctx, p, "lock", "rm", image, k.ID, k.Locker); err != nil {
			return did, err
		}
		did = append(did, fmt.Sprintf("lock of %s (%s) on %s removed", k.Locker, k.Address, image))
	}
	var status struct {
		Watchers []watcher `json:"watchers"`
	}
	if err := l.rbdJSON(ctx, p, &status, "status", image); err != nil {
		return did, err
	}
	for _, w := range status.Watchers {
		gone := slices.ContainsFunc(locks, func(k locker) bool { return k.Address == w.Address }) // with its lock
		if gone || !from(w.Address, dead) {
			continue
		}
		r := l.run(ctx, "clear "+p.Name, append(l.cephArgs("ceph", p), "osd", "blocklist", "add", w.Address, "3600"), nil)
		if err := r.error(); err != nil {
			return did, fmt.Errorf("ceph osd blocklist add: %w", err)
		}
		did = append(did, fmt.Sprintf("watch of %s on %s ended", w.Address, image))
	}
	return did, nil
}

// rbdJSON asks rbd and decodes the answer. Releases differ: lock ls answers with a list, older ones with an object by lock id.
func (l *Looker) rbdJSON(ctx context.Context, p ha.StoragePlace, into any, args ...string) error {
	r := l.run(ctx, "clear "+p.Name, append(append(l.cephArgs("rbd", p), args...), "--format", "json"), nil)
	if err := r.error(); err != nil {
		return fmt.Errorf("rbd %s: %w", strings.Join(args[:len(args)-1], " "), err)
	}
	if err := json.Unmarshal(r.out, into); err != nil {
		return fmt.Errorf("rbd %s: its answer cannot be read: %s", strings.Join(args[:len(args)-1], " "), printable(string(r.out), 80))
	}
	return nil
}

func (l *Looker) rbdRun(ctx context.Context, p ha.StoragePlace, args ...string) error {
	r := l.run(ctx, "clear "+p.Name, append(l.cephArgs("rbd", p), args...), nil)
	if err := r.error(); err != nil {
		return fmt.Errorf("rbd %s: %w", strings.Join(args[:2], " "), err)
	}
	return nil
}

// error is why a command did not do its work.
func (r result) error() error {
	switch {
	case r.notStarted != nil:
		return r.notStarted
	case r.late, !r.stuckSince.IsZero():
		return errors.New("it gave no answer in time")
	case r.end != nil:
		return errors.New(r.words())
	}
	return nil
}

// addresses picks the IP addresses out of what a node published.
func addresses(clients []string) (out []netip.Addr) {
	for _, c := range clients {
		text, ours := strings.CutPrefix(c, "ip:")
		if a, err := netip.ParseAddr(text); ours && err == nil && !a.IsUnspecified() && !a.IsLoopback() && !a.IsMulticast() {
			out = append(out, a.Unmap())
		}
	}
	return out
}

// from says whether a client of Ceph ("10.0.5.12:0/1234", "v1:10.0.5.12:0/1234", "[fd00::1]:0/5") is at one of the addresses.
func from(entity string, at []netip.Addr) bool {
	if i := strings.Index(entity, ":"); i > 0 && entity[0] == 'v' {
		entity = entity[i+1:]
	}
	hostport, _, _ := strings.Cut(entity, "/")
	a, err := netip.ParseAddrPort(hostport)
	return err == nil && slices.Contains(at, a.Addr().Unmap())
}
