package cephblocklist

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"bascule/fencing"
	"bascule/ha"
)

// device is one Ceph cluster with the storages on it.
type device struct{ s settings }

// Storages implements fencing.StorageDevice.
func (d *device) Storages() []string { return slices.Clone(d.s.storages) }

// Read implements fencing.StorageDevice. The blocklist is the whole cluster's, so all storages have the same answer. While none of the clients
// is on the list it also looks whether taking their access away would work and could be proven.
func (d *device) Read(ctx context.Context, clients []string) ([]ha.StorageReading, error) {
	addrs, err := parseClients(clients)
	if err != nil {
		return d.all(ha.AccessUnknown), err
	}
	access := ha.AccessUnknown
	s, err := d.connect(ctx)
	if err == nil {
		defer s.close()
		access, err = s.read(addrs)
	}
	return d.all(access), err
}

func (d *device) all(a ha.StorageAccess) (out []ha.StorageReading) {
	for _, s := range d.s.storages {
		out = append(out, ha.StorageReading{Storage: s, Access: a})
	}
	return out
}

func (s *session) read(addrs []netip.Addr) (ha.StorageAccess, error) {
	m, err := s.osdMap()
	if err != nil {
		return ha.AccessUnknown, err
	}
	open, short, err := m.cover(addrs, time.Now())
	switch {
	case err != nil:
		return ha.AccessUnknown, err
	case len(open) > 0 && len(open) < len(addrs):
		return ha.AccessOpen, nil // half done, or given back: nothing may hide that
	case len(open) == len(addrs):
		return s.ready(m, addrs)
	case len(short) > 0:
		return ha.AccessUnknown, fmt.Errorf("%w: on the blocklist by somebody else's entry, which ends too soon: %s", fencing.ErrRefused, short[0])
	}
	if err := s.enforced(m, addrs); err != nil {
		return ha.AccessUnknown, err
	}
	return ha.AccessRevoked, nil
}

// ready looks whether a Revoke would work now, and its proof. Placement groups that are slow to answer do not hide that the clients'
// access is open.
func (s *session) ready(m *osdMap, addrs []netip.Addr) (ha.StorageAccess, error) {
	if err := s.rights(m, addrs); err != nil {
		return ha.AccessUnknown, err
	}
	pools, err := m.choose(s.d.s.pools)
	if err != nil {
		return ha.AccessUnknown, err
	}
	for _, p := range pools {
		err := s.barrier(p, s.left()/2)
		if err == nil {
			_, err = s.watchers(p)
		}
		if err != nil && (len(addrs) == 0 || !errors.Is(err, fencing.ErrTimeout)) {
			return ha.AccessUnknown, err
		}
	}
	if len(addrs) == 0 {
		return ha.AccessUnknown, nil // about nobody nothing is said
	}
	return ha.AccessOpen, nil
}

// nobody is an address that no machine has (RFC 6666: packets to it are discarded).
const nobody = "[100::]:0/1"

// rights tries the commands of Revoke on what does not exist. They change nothing, but are refused to whoever may not give them.
func (s *session) rights(m *osdMap, addrs []netip.Addr) error {
	commands := []map[string]any{{"prefix": "osd blocklist", "blocklistop": "rm", "addr": nobody}}
	doing := []string{"change the blocklist"}
	if s.d.s.host != "" {
		if _, err := s.hostOSDs(m, addrs); err != nil {
			return err
		}
		commands = append(commands, map[string]any{"prefix": "osd down", "ids": []string{fmt.Sprint(1<<31 - 1)}})
		doing = append(doing, "mark OSDs down")
	}
	r, err := s.mon("change the blocklist", commands...)
	if err != nil {
		return err
	}
	for i := range r {
		var e *callError
		if err := s.err(r[i]); errors.As(err, &e) && (i == 0 || denied(e)) {
			return s.d.explain(doing[i], err)
		}
	}
	return nil
}
