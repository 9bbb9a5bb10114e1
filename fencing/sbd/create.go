package sbd

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"bascule/fencing"
)

// Create makes disks SBD disks with these times, each with a UUID of its own, as `sbd create` does, but only disks that are empty and that this
// machine does not use. It stops at the first that fails; what it made before stays made.
func Create(ctx context.Context, disks []string, t Times) error {
	return servants{servantName}.create(ctx, disks, t)
}

func (s servants) create(ctx context.Context, disks []string, t Times) error {
	if err := t.check(); err != nil {
		return err
	}
	for _, path := range disks {
		h := Header{Minor: minor, Slots: slotCount, Times: t}
		if _, err := rand.Read(h.UUID[:]); err != nil {
			return fmt.Errorf("%w: %w", fencing.ErrHelper, err)
		}
		h.UUID[6], h.UUID[8] = h.UUID[6]&0x0f|0x40, h.UUID[8]&0x3f|0x80 // a random UUID, version 4
		if _, err := s.once(ctx, path, request{Op: opFormat, Header: h}); err != nil {
			return fmt.Errorf("making %s an SBD disk: %w", path, err)
		}
	}
	return nil
}

// Allocate gives a node a slot on each disk, as `sbd allocate` does; a slot that it has stays. Taking one takes the disk's allocate time.
func Allocate(ctx context.Context, disks []string, slot string) error {
	return servants{servantName}.allocate(ctx, disks, slot)
}

func (s servants) allocate(ctx context.Context, disks []string, slot string) error {
	if err := checkSlot(slot); err != nil {
		return err
	}
	for _, path := range disks {
		if err := s.allocateOne(ctx, path, slot); err != nil {
			return fmt.Errorf("a slot for %s on %s: %w", slot, path, err)
		}
	}
	return nil
}

func (s servants) allocateOne(ctx context.Context, path, slot string) error {
	for {
		found, err := s.once(ctx, path, request{Op: opLook, Name: slot})
		if err != nil || found.Slot >= 0 {
			return err
		}
		if _, err = s.once(ctx, path, request{Op: opClaim, Name: slot}); err != nil {
			return err
		}
		t := time.NewTimer(found.Header.Times.Allocate) // another node may have taken the same one: look again then
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return fmt.Errorf("%w: the allocate time of the disk is %v", fencing.ErrTimeout, found.Header.Times.Allocate)
		}
	}
}
