package bmc

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stmcginnis/gofish/schemas"

	"bascule/fencing"
	"bascule/fencing/ipmi"
	"bascule/ha"
	"bascule/ha/waittest"
)

// console is the product's own IPMI method, pointed at the BMC.
func (b *bench) console() fencing.PowerDevice {
	b.t.Helper()
	file := filepath.Join(b.t.TempDir(), "password")
	if err := os.WriteFile(file, []byte(password), 0o600); err != nil {
		b.t.Fatal(err)
	}
	d, err := ipmi.Method.Power(map[string]string{"address": b.lan, "user": "admin", "password_file": file})
	if err != nil {
		b.t.Fatal(err)
	}
	return d
}

// lanRead reads by IPMI, for so long at most.
func (b *bench) lanRead(d fencing.PowerDevice, limit time.Duration) (fencing.Reading, error) {
	ctx, cancel := context.WithTimeout(b.t.Context(), limit)
	defer cancel()
	return d.Read(ctx)
}

// awaitLAN waits until IPMI reads a state.
func (b *bench) awaitLAN(d fencing.PowerDevice, want ha.Power) {
	b.t.Helper()
	var r fencing.Reading
	var err error
	waittest.Until(b.t, waittest.Hang, "IPMI reads "+string(want), func() bool {
		r, err = b.lanRead(d, 10*time.Second)
		return err == nil && r.Power == want
	}, &r, &err)
}

// Both faces show and switch the same machine.
func TestIPMISwitchesTheSameMachine(t *testing.T) {
	b := newSlowBench(t, 500*time.Millisecond)
	d := b.console()
	if r, err := b.lanRead(d, waittest.Hang); err != nil || r.Power != ha.PowerOn || !ha.SameUUID(r.SystemUUID, uuid) {
		t.Fatalf("at first: %+v %v", r, err)
	}
	for range tries {
		if err := d.Off(t.Context()); err != nil {
			t.Fatal(err)
		}
		r, err := b.lanRead(d, waittest.Hang)
		b.await(schemas.OffPowerState)
		b.awaitLAN(d, ha.PowerOff)
		if b.machine.Powered() {
			t.Error("off is read while the machine runs")
		}
		if err := d.On(t.Context()); err != nil {
			t.Fatal(err)
		}
		b.awaitLAN(d, ha.PowerOn)
		b.await(schemas.OnPowerState)
		if err == nil && r.Power == ha.PowerOn { // while it switches off: IPMI knows no powering off
			return
		}
		t.Logf("right after the command: %+v %v", r, err)
	}
	t.Error("it reads no on while it switches off")
}

func TestIPMIFaults(t *testing.T) {
	for _, c := range []struct {
		fault Fault
		err   error    // of a reading
		uuid  bool     // the right one is told
		after ha.Power // what a command that is answered leaves to be read
	}{
		{Fault{Kind: SaysDone}, nil, true, ha.PowerOn},
		{Fault{Kind: ReadsOff}, nil, true, ha.PowerOff},
		{Fault{Kind: StuckOff}, nil, true, ha.PowerOff},
		{Fault{Kind: WrongUUID}, nil, false, ha.PowerOff},
		{Fault{Kind: Slow, Delay: 20 * time.Millisecond}, nil, true, ha.PowerOff},
		{Fault{Kind: Hang}, fencing.ErrTimeout, false, ""},
		{Fault{Kind: Refuse}, fencing.ErrTimeout, false, ""},
		{Fault{Kind: Rubbish}, fencing.ErrTimeout, false, ""},
		{Fault{Kind: WrongPassword}, fencing.ErrAuth, false, ""},
	} {
		t.Run(c.fault.String(), func(t *testing.T) {
			b := newBench(t)
			d := b.console()
			b.SetFault(c.fault)
			limit := waittest.Hang
			if errors.Is(c.err, fencing.ErrTimeout) {
				limit = 300 * time.Millisecond
			}
			r, err := b.lanRead(d, limit)
			if c.err != nil {
				if !errors.Is(err, c.err) || r.Power != ha.PowerUnknown {
					t.Errorf("%+v %v, want %v", r, err, c.err)
				}
				b.SetFault(Fault{})
				b.awaitLAN(d, ha.PowerOn)
				return
			}
			if err != nil || ha.SameUUID(r.SystemUUID, uuid) != c.uuid {
				t.Errorf("%+v %v", r, err)
			}
			if err := d.Off(t.Context()); err != nil {
				t.Fatal(err)
			}
			b.awaitLAN(d, c.after)
			lies := c.fault.Kind == SaysDone || c.fault.Kind == ReadsOff || c.fault.Kind == StuckOff
			if b.machine.Powered() != lies {
				t.Errorf("the machine has power: %t", b.machine.Powered())
			}
		})
	}
}

func TestIPMIDiesWithItsNode(t *testing.T) {
	b := newBench(t)
	d := b.console()
	b.SetFault(Fault{Kind: DeadWithNode})
	b.awaitLAN(d, ha.PowerOn)
	b.machine.set(false, false)
	b.PowerChanged()
	if r, err := b.lanRead(d, 300*time.Millisecond); !errors.Is(err, fencing.ErrTimeout) {
		t.Errorf("without power: %+v %v, want silence", r, err)
	}
}
