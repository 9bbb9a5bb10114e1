package fencing

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"bascule/ha"
)

// Joiner keeps this node subject to its own fencing devices: a storage can take the access of a node away only when it knows by what
// the node is known there. It calls each method's Join, one call per device at a time; a device that hangs holds up no other.
type Joiner struct {
	node  ha.NodeName
	inc   ha.Incarnation
	units []*joining

	mu      sync.Mutex
	clients []string // ascending; within a boot it only grows
}

// joining is one device of this node.
type joining struct {
	spec Spec
	join func(ctx context.Context, settings map[string]string, node ha.NodeName, inc ha.Incarnation) ([]string, error)
	turn chan struct{}
}

// NewJoiner takes those specs whose node this is and whose method has a Join.
func NewJoiner(specs []Spec, methods Methods, node ha.NodeName, inc ha.Incarnation) *Joiner {
	j := &Joiner{node: node, inc: inc}
	for _, s := range specs {
		if m, ok := methods.Find(s.Method); ok && s.Node == node && m.Join != nil {
			j.units = append(j.units, &joining{spec: s, join: m.Join, turn: make(chan struct{}, 1)})
		}
	}
	return j
}

// Round joins every device once, side by side, and returns within limit and a little. told gets each device's name and what is wrong
// with it, empty when nothing is. It says whether there are clients that Clients did not return before.
func (j *Joiner) Round(ctx context.Context, limit time.Duration, told func(device, problem string)) bool {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	type result struct {
		clients []string
		err     error
	}
	results := make([]chan result, len(j.units))
	for i, u := range j.units {
		results[i] = make(chan result, 1)
		select {
		case u.turn <- struct{}{}:
		default:
			results[i] <- result{err: fmt.Errorf("%w: an earlier look still waits for it", ErrTimeout)}
			continue
		}
		go func() {
			defer func() { <-u.turn }()
			c, err := u.join(ctx, u.spec.Settings, j.node, j.inc)
			results[i] <- result{c, err}
		}()
	}
	grown := false
	for i, u := range j.units {
		var r result
		select {
		case r = <-results[i]:
		case <-ctx.Done():
			select {
			case r = <-results[i]: // another one used the time up
			default:
				r.err = ended(ctx, limit)
			}
		}
		grown = j.add(r.clients) || grown
		text := ""
		if r.err != nil {
			text = fmt.Sprintf("fencing device %q: this node cannot be made subject to it: %s; its storages prove nothing about this node until then", u.spec.Name, Printable(r.err.Error(), maxText))
		}
		told(u.spec.Name, text)
	}
	return grown
}

func (j *Joiner) add(clients []string) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	before := len(j.clients)
	j.clients = append(slices.Clone(j.clients), clients...)
	slices.Sort(j.clients)
	j.clients = slices.Compact(j.clients)
	return len(j.clients) != before
}

// Clients is all that this boot must publish.
func (j *Joiner) Clients() []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.clients
}
