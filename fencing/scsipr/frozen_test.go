package scsipr

import (
	"context"
	"testing"
	"time"

	"bascule/fencing/scsipr/scsitest"
	"bascule/ha"
)

// A node that is frozen between its look and its registration, and fenced meanwhile, takes the registration back when it wakes.
func TestFrozenBetweenLookAndRegistration(t *testing.T) {
	for _, c := range []struct{ name, before, after string }{
		{"a new path", "/dev/d-0", "/dev/d-0|/dev/d-1"},
		{"a new LUN", "/dev/d-0", "/dev/d-0,/dev/e-0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d, e := array("x"), array("y")
			disks := map[string]*scsitest.Disk{"d": d, "e": e}
			a, b := pair(t, disks, c.before)
			b.set("luns", c.after)
			real := b.connect
			b.connect = func(ctx context.Context, p path, as port) (transport, error) {
				tr, err := real(ctx, p, as)
				return freezing{tr, func() {
					if len(d.Keys()) > 1 {
						a.fence(b)
					}
				}, nil}, err
			}
			fails(t, b.register(), ErrFenced, "")
			if len(d.Keys()) != 1 || len(e.Keys()) != 0 {
				t.Fatalf("left d %v, e %v", d.Keys(), e.Keys())
			}
			a.wants(b, ha.AccessRevoked)
		})
	}
}

// freezing calls thaw just before a REGISTER AND IGNORE goes out.
type freezing struct {
	transport
	thaw  func()
	until context.Context // comes back only then, if not nil
}

func (f freezing) execute(ctx context.Context, cdb, out []byte, in int) (reply, error) {
	if cdb[0] == opReserveOut && cdb[1] == outRegisterOver {
		f.thaw()
	}
	r, err := f.transport.execute(ctx, cdb, out, in)
	if f.until != nil && cdb[0] == opReserveOut && cdb[1] == outRegisterOver {
		<-f.until.Done()
	}
	return r, err
}

// The same, but the freeze is longer than the caller's time: the registration is taken back all the same.
func TestFrozenBeyondItsTime(t *testing.T) {
	for _, luns := range []string{"/dev/d-0|/dev/d-1", "/dev/d-0,/dev/e-0"} {
		d, e := array("x"), array("y")
		a, b := pair(t, map[string]*scsitest.Disk{"d": d, "e": e}, "/dev/d-0")
		b.set("luns", luns)
		r, err := NewRegistrar(b.settings, b.name, b.boot)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		real := b.connect
		r.connect = func(ctx context.Context, p path, as port) (transport, error) {
			tr, err := real(ctx, p, as)
			return freezing{tr, func() {
				if len(d.Keys()) > 1 {
					a.fence(b)
				}
				time.AfterFunc(20*time.Millisecond, cancel)
			}, ctx}, err
		}
		if err := r.Register(ctx); err == nil {
			t.Fatal("registered without looking")
		}
		if len(d.Keys()) != 1 || len(e.Keys()) != 0 {
			t.Fatalf("%s: left d %v, e %v", luns, d.Keys(), e.Keys())
		}
		fails(t, b.register(), ErrFenced, "")
	}
}
