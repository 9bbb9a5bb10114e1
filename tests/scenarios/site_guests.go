package scenarios

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"bascule/ha"
	"bascule/tests/sim"
)

// maxGuests is as many as a lab has.
const maxGuests = 1000

// allGuests are the default ones, changed and added to by the block's lines.
func (t *site) allGuests() error {
	s := &t.spec
	if t.defaults < 0 {
		t.defaults = 2 * t.nodes
	}
	for i := range t.defaults {
		s.Guests = append(s.Guests, newGuest(ha.VMID(101+i), s.Hosts[i%t.nodes].Name, s.Storages[0].Name))
	}
	for _, l := range t.guests {
		if err := t.guest(l.words); err != nil {
			return fmt.Errorf("%d: guest %s: %w", l.line, strings.Join(l.words, " "), err)
		}
	}
	return nil
}

func newGuest(id ha.VMID, node, storage string) sim.GuestSpec {
	return sim.GuestSpec{ID: id, Kind: ha.QEMU, Name: fmt.Sprintf("guest%d", id), Node: node, Memory: 1 << 30, Storages: []string{storage},
		Protected: true, Running: true, StartTakes: time.Second}
}

// guest is "ID on NODE OPTIONS": a new one, or a default one with other properties.
func (t *site) guest(f []string) error {
	if len(f) < 3 || f[1] != "on" || !t.isNode(f[2]) {
		return fmt.Errorf("write ID on NODE, with a node of this site")
	}
	id, err := strconv.Atoi(f[0])
	if err != nil {
		return err
	}
	g := newGuest(ha.VMID(id), f[2], t.spec.Storages[0].Name)
	for i := 3; i < len(f); i++ {
		next := ""
		if i+1 < len(f) {
			next = f[i+1]
		}
		used, err := option(&g, f[i], next)
		if err != nil {
			return err
		}
		if used {
			i++
		}
	}
	for _, name := range g.Storages {
		if !slices.ContainsFunc(t.spec.Storages, func(d sim.StorageSpec) bool { return d.Name == name }) {
			return fmt.Errorf("there is no storage %q on this site", name)
		}
	}
	t.spec.Guests = slices.DeleteFunc(t.spec.Guests, func(o sim.GuestSpec) bool { return o.ID == g.ID })
	t.spec.Guests = append(t.spec.Guests, g)
	slices.SortFunc(t.spec.Guests, func(a, b sim.GuestSpec) int { return int(a.ID - b.ID) })
	return nil
}

// option is one word of a guest's line; used says whether it took the next word along.
func option(g *sim.GuestSpec, word, next string) (used bool, err error) {
	num, numErr := strconv.Atoi(next)
	switch word {
	case "vm":
		g.Kind = ha.QEMU
	case "ct":
		g.Kind = ha.LXC
	case "stopped":
		g.Running = false
	case "unprotected":
		g.Protected = false
	case "onboot":
		g.Onboot = true
	case "never-stops":
		g.NeverStops = true
	case "memory":
		g.Memory = int64(num) << 30
		return true, numErr
	case "priority":
		g.Priority = num
		return true, numErr
	case "fail-starts":
		g.FailStarts = num
		return true, numErr
	case "fail-moves":
		g.FailMigrations = num
		return true, numErr
	case "storages":
		g.Storages = strings.Split(next, ",")
		return true, nil
	case "pinned":
		g.Pinned = next
		return true, nil
	case "only-on":
		g.OnlyOn = next
		return true, nil
	case "start-takes":
		g.StartTakes, err = time.ParseDuration(next)
		return true, err
	default:
		return false, fmt.Errorf("unknown option %q; a guest has: vm ct stopped unprotected onboot never-stops memory priority fail-starts fail-moves storages pinned only-on start-takes", word)
	}
	return false, nil
}
