package storage

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"

	"bascule/ha"
)

// Forget removes what this node's looks have written on a storage with a directory: its own marks, or with all those of every node of its
// cluster, and the directory of the marks when nothing is left in it. Another cluster's are never touched. It answers when ctx ends.
func (l *Looker) Forget(ctx context.Context, p ha.StoragePlace, all bool) error {
	if p.Path == "" || p.ReadOnly || l.cfg.Cluster == "" {
		return nil
	}
	o := order{Path: p.Path, Mount: p.Mount, Forget: &forgetting{Cluster: l.cfg.Cluster}}
	if !all {
		o.Forget.Node = l.cfg.Node
	}
	if _, look := l.child(ctx, "forget "+p.Name, o); look.Problem != "" {
		return errors.New(look.Problem)
	}
	return nil
}

// forgetting says whose marks go.
type forgetting struct {
	Cluster string      `json:"cluster"`
	Node    ha.NodeName `json:"node,omitempty"` // empty: every node's
}

// forget removes marks.
func (a *answer) forget(o order) error {
	var found answer
	if err := found.list(o); err != nil {
		return err
	}
	dir := filepath.Join(o.Path, ownDir)
	for _, m := range found.Marks {
		if m.Unread != "" || m.Cluster != o.Forget.Cluster || o.Forget.Node != "" && m.Node != o.Forget.Node || strings.ContainsRune(string(m.Node), '/') {
			continue
		}
		if err := os.Remove(filepath.Join(dir, markPrefix+string(m.Node))); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	_ = os.Remove(dir) // refused while anything is in it
	return nil
}
