package scsipr

import (
	"context"

	"bascule/ha"
)

// join registers this boot's key on every LUN and path, and returns it. A key that was taken away is not registered again in this boot.
func join(ctx context.Context, raw map[string]string, node ha.NodeName, boot ha.Incarnation) ([]string, error) {
	r, err := NewRegistrar(raw, node, boot)
	if err != nil {
		return nil, err
	}
	if err := r.Register(ctx); err != nil {
		return nil, err
	}
	return []string{r.Client()}, nil
}
