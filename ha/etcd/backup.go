package etcd

import (
	"context"
	"errors"
	"fmt"
	"io"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"bascule/ha"
)

// Snapshot writes a copy of the whole embedded store to w: etcd's own snapshot, with its checksum at the end. It is taken at one member at
// one revision, after a linearizable read, so that it holds everything that was committed before. It returns how many bytes it wrote;
// after an error what was written is worth nothing.
func (s *Store) Snapshot(ctx context.Context, w io.Writer) (int64, error) {
	if s.cfg.External != nil {
		return 0, errExternal
	}
	if _, _, err := s.Get(ctx, ha.KeyCluster); err != nil {
		return 0, fmt.Errorf("a copy of the store: %w", err)
	}
	var last error
	for _, e := range s.pool.order() {
		n, err := snapshotOf(ctx, e, w)
		if err == nil {
			return n, nil
		}
		last = fmt.Errorf("%s: %w", e.name, err)
		if n > 0 || ctx.Err() != nil {
			break // half a copy cannot be taken back
		}
	}
	return 0, fmt.Errorf("a copy of the store: %w: %w", ha.ErrUnavailable, last)
}

// snapshotOf copies one member's database. A member that lags would give an older copy, so it is asked how far it is first.
func snapshotOf(ctx context.Context, e *endpoint, w io.Writer) (int64, error) {
	if _, err := e.client.Get(ctx, "\x00"); err != nil { // linearizable: it has applied all that was committed before
		return 0, err
	}
	stream, err := pb.NewMaintenanceClient(e.conn()).Snapshot(ctx, &pb.SnapshotRequest{})
	if err != nil {
		return 0, err
	}
	var n int64
	for {
		part, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return n, nil
		}
		if err != nil {
			return n, err
		}
		wrote, err := w.Write(part.Blob)
		n += int64(wrote)
		if err != nil {
			return n, fmt.Errorf("writing the copy: %w", err)
		}
	}
}
