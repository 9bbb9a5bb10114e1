package scsipr

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"bascule/fencing"
	"bascule/ha"
)

// ErrFenced: this node's key was registered in this boot and is gone. It is never registered again: the node has to be rebooted.
var ErrFenced = errors.New("this node's registration was taken away: it was fenced, or the target lost its reservations; reboot this node")

// Registrar gives a node its key on the LUNs of one fencing device, the one of this very node.
//
// The agent calls Register before it publishes the key and before any guest starts, and then every few seconds: it finds LUNs and paths
// that are new, and the loss of the key. Calls are to be made only while the node's permit runs, in a process that ends with the permit:
// who is frozen between the look and the registration, and fenced meanwhile, wakes up into a registration that he must take back.
type Registrar struct {
	s       settings
	node    ha.NodeName
	boot    ha.Incarnation
	key     Key
	connect connector
}

// NewRegistrar makes the Registrar of a node's boot from the settings of its device. It does no I/O.
func NewRegistrar(raw map[string]string, node ha.NodeName, boot ha.Incarnation) (*Registrar, error) {
	s, err := parse(raw)
	if err != nil {
		return nil, err
	}
	if node == "" || boot == "" {
		return nil, fmt.Errorf("%w: a key needs the node's name and its boot", fencing.ErrHelper)
	}
	return &Registrar{s: s, node: node, boot: boot, key: KeyOf(node, boot), connect: connect}, nil
}

// Client is the address that the node publishes once Register has said nil, and not before: nobody can take away what he does not know.
func (r *Registrar) Client() string { return r.key.Client() }

// Register makes sure that on every LUN this boot's key is registered on every path that can be reached, that the reservation
// exists, and that no key of an earlier boot is left. nil: all of it is so, as checked just now, and the node may publish
// its key and write. ErrFenced (wrapped): the key is gone; nothing was and nothing will be registered in this boot.
func (r *Registrar) Register(ctx context.Context) error {
	lock, err := lockFile(ctx, r.s.state+".lock") // an old daemon and a new one, or two devices of one node
	if err != nil {
		return err
	}
	defer lock.Close()
	st, err := loadState(r.s.state)
	if err != nil {
		return err
	}
	if st.Key != r.key { // another boot's, or none
		st = state{Node: r.node, Boot: r.boot, Key: r.key}
	}
	if st.Fenced != "" {
		return fenced(st.Fenced)
	}
	seats := make([]seat, len(r.s.luns))
	for i, l := range r.s.luns {
		seats[i] = seat{r: r, l: l}
	}
	return r.register(ctx, st, seats)
}

// register looks at all LUNs, then registers what is missing, then looks again. Where the key was before it is the evidence
// that the node may register more: while that is gone or cannot be seen, no LUN gets the key for the first time.
func (r *Registrar) register(ctx context.Context, st state, seats []seat) error {
	unseen := eachLUN(r.s.luns, func(i int, _ lun) error { return seats[i].inspect(ctx, st) })
	if gone := lost(seats); gone != "" {
		return r.end(st, gone)
	}
	trusted := !slices.ContainsFunc(seats, func(s seat) bool { return !s.reached }) || len(st.LUNs) == 0
	unmade := eachLUN(r.s.luns, func(i int, _ lun) error { return seats[i].occupy(ctx, trusted) })
	if errors.Is(unmade, ErrFenced) {
		return joined([]error{r.end(st, "a path"), withdraw(ctx, seats)})
	}
	unproven := eachLUN(r.s.luns, func(i int, _ lun) error { return seats[i].confirm(ctx) })
	if gone := lost(seats); gone != "" {
		return joined([]error{r.end(st, gone), withdraw(ctx, seats)})
	}
	if slices.ContainsFunc(seats, func(s seat) bool { return s.known && !s.done }) { // the evidence cannot be seen any more
		unproven = joined([]error{unproven, withdraw(ctx, newcomers(seats))})
	}
	for _, s := range seats {
		if s.done && !st.knows(s.unit) {
			st.LUNs = append(st.LUNs, s.unit)
		}
	}
	return joined([]error{unseen, unmade, unproven, st.save(r.s.state)})
}

// newcomers are the LUNs that got the key for the first time just now. They are not done.
func newcomers(seats []seat) (out []seat) {
	for i := range seats {
		if !seats[i].known {
			seats[i].done = false
			out = append(out, seats[i])
		}
	}
	return out
}

// withdraw takes back, at all of these LUNs, what was registered just now.
func withdraw(ctx context.Context, seats []seat) error {
	var why []error
	for i := range seats {
		why = append(why, seats[i].withdraw(ctx))
	}
	return joined(why)
}

// lost names a LUN at which the key was and is not any more.
func lost(seats []seat) string {
	for _, s := range seats {
		if s.reached && s.known && s.p.count(s.r.key) == 0 {
			return s.l.name
		}
	}
	return ""
}

// end notes that the key is gone, for the rest of this boot.
func (r *Registrar) end(st state, where string) error {
	st.Fenced = "the key was gone at " + where
	return joined([]error{fenced(st.Fenced), st.save(r.s.state)})
}

func fenced(why string) error {
	return fmt.Errorf("%w: %w (%s)", fencing.ErrRefused, ErrFenced, why)
}
