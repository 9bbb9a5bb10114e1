package sbd

import (
	"context"
	"time"
)

const (
	// ioLimit bounds a call whose context has no deadline.
	ioLimit = 10 * time.Second
	// straggle is how long the last disks are waited for once they can change nothing for a majority any more.
	straggle = time.Second
)

// finding is what came of one disk.
type finding struct {
	path  string
	sight Sight
	err   error
}

// each sends the same request to all disks side by side. It comes back when all have answered, or straggle after it is settled whether what
// is counted holds on a majority, or a little before ctx ends: a disk that hangs must not hide what the others said.
func (d *device) each(ctx context.Context, r request, counted func(finding) bool) []finding {
	ctx, cancel := context.WithTimeout(ctx, limit(ctx))
	defer cancel()
	type numbered struct {
		disk int
		finding
	}
	done := make(chan numbered, len(d.disks))
	for i, path := range d.disks {
		go func() {
			s, err := d.servants.once(ctx, path, r)
			done <- numbered{i, finding{path, s, err}}
		}()
	}
	found := make([]finding, len(d.disks))
	yes, open := 0, len(d.disks)
	var patience *time.Timer
	for range d.disks { // each comes: a servant that hangs is given up when ctx ends
		f := <-done
		found[f.disk] = f.finding
		if open--; counted(f.finding) {
			yes++
		}
		if settled := 2*yes > len(d.disks) || 2*(yes+open) <= len(d.disks); settled && patience == nil {
			patience = time.AfterFunc(straggle, cancel)
			defer patience.Stop()
		}
	}
	return found
}

// limit is the time for the disks: what ctx leaves, less what it takes to end servants and to answer.
func limit(ctx context.Context) time.Duration {
	deadline, ok := ctx.Deadline()
	if !ok {
		return ioLimit
	}
	left := time.Until(deadline)
	return left - min(max(left/5, 2*endTime), left/2)
}

// once is one request to one disk by a servant of its own.
func (s servants) once(ctx context.Context, path string, r request) (Sight, error) {
	l, err := s.start(path, once)
	if err != nil {
		return Sight{}, err
	}
	defer l.end()
	return l.ask(ctx, r)
}
