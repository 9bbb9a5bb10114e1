package cephblocklist

import (
	"context"
	"fmt"

	"bascule/fencing"
	"bascule/ha"
)

// join returns by what the cluster knows this node: the addresses from which a client of this machine was just seen. Guests' clients take
// the same ones, for the kernel chooses them by the way to the monitors. It changes nothing.
func join(ctx context.Context, raw map[string]string, _ ha.NodeName, _ ha.Incarnation) ([]string, error) {
	opened, err := open(raw)
	if err != nil {
		return nil, err
	}
	s, err := opened.(*device).connect(ctx)
	if err != nil {
		return nil, err
	}
	defer s.close()
	var seen []string
	for _, a := range s.self {
		seen = append(seen, kind+a.Unmap().String())
	}
	addrs, err := parseClients(seen)
	if err != nil || len(addrs) == 0 {
		return nil, fmt.Errorf("%w: the cluster does not say from which address it sees this node (%q): nobody could take its access away", fencing.ErrRubbish, seen)
	}
	var out []string
	for _, a := range addrs {
		out = append(out, kind+a.String())
	}
	return out, nil
}
