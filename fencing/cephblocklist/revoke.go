package cephblocklist

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"bascule/fencing"
)

// Revoke implements fencing.StorageDevice: puts all clients on the blocklist at once. With mark_down it then marks the node's OSDs
// down, if the list holds all of them.
func (d *device) Revoke(ctx context.Context, clients []string) error {
	addrs, err := parseClients(clients)
	if err != nil {
		return err
	}
	if len(addrs) == 0 {
		return fmt.Errorf("%w: no client was named, so nothing can be taken away", fencing.ErrSettings)
	}
	s, err := d.connect(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	for _, a := range addrs {
		if slices.Contains(s.self, a) {
			return fmt.Errorf("%w: %s is this member's own address: nothing was sent", fencing.ErrWrongMachine, a)
		}
	}
	m, err := s.osdMap()
	if err != nil {
		return err
	}
	if missing := m.without(addrs, time.Now()); len(missing) > 0 {
		if err := s.add(missing); err != nil {
			return err
		}
	}
	if d.s.host == "" {
		return nil
	}
	return s.markDown(addrs)
}

// without returns the addresses for which there is no entry of ours yet. Each change of the map can take the monitors a second: what is done
// already must not use up the time of what is not.
func (m *osdMap) without(addrs []netip.Addr, now time.Time) (out []netip.Addr) {
	good, _ := m.entries()
	for _, a := range addrs {
		if !slices.ContainsFunc(good, func(e entry) bool { return e.ours(a, now) }) {
			out = append(out, a)
		}
	}
	return out
}

// expire is how long an entry lives, in seconds. Ceph takes only a number with a decimal point.
var expire = json.RawMessage(fmt.Sprintf("%.1f", lasting.Seconds()))

// add blocks whole addresses: as a range of one address, or, where Ceph knows no ranges yet, as ADDR:0/0, which stands for all ports
// and processes too.
func (s *session) add(addrs []netip.Addr) error {
	const doing = "put addresses on the blocklist"
	var ranged []map[string]any
	for _, a := range addrs {
		ranged = append(ranged, map[string]any{"prefix": "osd blocklist", "range": "range", "blocklistop": "add",
			"addr": netip.PrefixFrom(a, a.BitLen()).String(), "expire": expire})
	}
	r, err := s.mon(doing, ranged...)
	if err != nil {
		return err
	}
	var plain []map[string]any
	for i, a := range addrs {
		var e *callError
		if err := s.err(r[i]); errors.As(err, &e) && denied(e) {
			return s.d.explain(doing, err)
		} else if err != nil {
			plain = append(plain, map[string]any{"prefix": "osd blocklist", "blocklistop": "add", "addr": whole(a), "expire": expire})
		}
	}
	if len(plain) == 0 {
		return nil
	}
	if r, err = s.mon(doing, plain...); err != nil {
		return err
	}
	for _, x := range r {
		if err := s.err(x); err != nil {
			return s.d.explain(doing, err)
		}
	}
	return nil
}

// whole is how Ceph writes an address with all its ports and processes.
func whole(a netip.Addr) string { return netip.AddrPortFrom(a, 0).String() + "/0" }

// Restore gives the access back, after a new boot: it takes exactly those entries off the blocklist that a Revoke put there. It is an
// error, with the entry's text, if somebody else's keeps a client blocked. It implements fencing.Restorer.
func (d *device) Restore(ctx context.Context, clients []string) error {
	const doing = "take addresses off the blocklist"
	addrs, err := parseClients(clients)
	if err != nil || len(addrs) == 0 {
		return err
	}
	s, err := d.connect(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	m, err := s.osdMap()
	if err != nil {
		return err
	}
	if commands := m.removals(addrs, time.Now()); len(commands) > 0 {
		r, err := s.mon(doing, commands...)
		if err != nil {
			return err
		}
		for _, x := range r {
			if err := s.err(x); err != nil {
				return s.d.explain(doing, err)
			}
		}
		if m, err = s.osdMap(); err != nil {
			return err
		}
	}
	good, _ := m.entries()
	for _, e := range good {
		if i := slices.IndexFunc(addrs, e.covers.Contains); i >= 0 && e.until.After(time.Now()) {
			return fmt.Errorf("%w: %s stays on the blocklist by an entry that is not ours: %s until %s: whoever made it has to remove it",
				fencing.ErrRefused, addrs[i], fencing.Printable(e.text, 60), e.until.Format(time.RFC3339))
		}
	}
	return nil
}

// removals are the commands that remove our entries for these addresses.
func (m *osdMap) removals(addrs []netip.Addr, now time.Time) (out []map[string]any) {
	good, _ := m.entries()
	for _, e := range good {
		for _, a := range addrs {
			switch {
			case !e.ours(a, now):
			case e.ranged:
				out = append(out, map[string]any{"prefix": "osd blocklist", "range": "range", "blocklistop": "rm", "addr": e.covers.String()})
			default:
				out = append(out, map[string]any{"prefix": "osd blocklist", "blocklistop": "rm", "addr": whole(a)})
			}
		}
	}
	return out
}
