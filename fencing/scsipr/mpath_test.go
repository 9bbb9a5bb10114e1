package scsipr

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bascule/fencing"
	"bascule/fencing/fencingtest"
	"bascule/ha/waittest"
)

func TestToolArgs(t *testing.T) {
	const a, b = Key(0xb500000000000001), Key(0xb500000000000002)
	for _, c := range []struct {
		o    order
		want string
	}{
		{order{action: outRegisterOver, arg: a, aptpl: true}, "--out --register-ignore --param-sark=b500000000000001 --param-aptpl /dev/mapper/m"},
		{order{action: outRegister, key: a, aptpl: true}, "--out --register --param-rk=b500000000000001 --param-sark=0000000000000000 --param-aptpl /dev/mapper/m"},
		{order{action: outReserve, key: a}, "--out --reserve --param-rk=b500000000000001 --prout-type=5 /dev/mapper/m"},
		{order{action: outPreempt, key: a, arg: b}, "--out --preempt --param-rk=b500000000000001 --param-sark=b500000000000002 --prout-type=5 /dev/mapper/m"},
		{order{action: outPreemptAbort, key: a, arg: b}, "--out --preempt-abort --param-rk=b500000000000001 --param-sark=b500000000000002 --prout-type=5 /dev/mapper/m"},
	} {
		if got := strings.Join(toolArgs(c.o, "/dev/mapper/m"), " "); got != c.want {
			t.Errorf("%+v:\n%s, want\n%s", c.o, got, c.want)
		}
	}
}

// fakeTool puts a script in the tool's place.
func fakeTool(t *testing.T, script string) (dir string) {
	dir = t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, tool), []byte("#!/bin/sh\n"+script), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":/usr/bin:/bin")
	return dir
}

func TestToolAnswers(t *testing.T) {
	m := multipath{plain{"/dev/dm-0"}, "/dev/mapper/m"}
	for _, c := range []struct {
		code int
		kind error // nil: accepted
		text string
	}{
		{0, nil, ""}, {11, fencing.ErrRefused, "RESERVATION CONFLICT"}, {5, fencing.ErrRefused, "5/2400"}, {7, fencing.ErrRefused, "5/2400"},
		{1, fencing.ErrHelper, "ended with 1: no such map"}, {13, fencing.ErrHelper, "is multipathd running"}, {15, fencing.ErrHelper, "multipath.conf"},
		{6, fencing.ErrTimeout, "6/0000"}, {8, fencing.ErrTimeout, "b/0000"},
	} {
		fakeTool(t, fmt.Sprintf("echo no such map; exit %d", c.code))
		err := tell(within(t, 40*time.Second), m, order{action: outReserve, key: 1})
		if c.kind == nil {
			if err != nil {
				t.Errorf("%d: %v", c.code, err)
			}
			continue
		}
		fails(t, err, c.kind, c.text)
	}
	t.Setenv("PATH", t.TempDir())
	fails(t, tell(within(t, 40*time.Second), m, order{action: outReserve, key: 1}), fencing.ErrHelper, "install multipath-tools")
}

// A tool that hangs is ended with everything that it started.
func TestToolHangs(t *testing.T) {
	dir := fakeTool(t, "sleep 300 & echo $! >$(dirname $0)/part; mv $(dirname $0)/part $(dirname $0)/pid; sleep 300")
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		defer cancel()
		waittest.Until(t, waittest.Hang, "the tool runs", func() bool { _, err := os.Stat(filepath.Join(dir, "pid")); return err == nil })
	}()
	err := tell(ctx, multipath{plain{"/dev/dm-0"}, "/dev/mapper/m"}, order{action: outReserve, key: 1})
	fails(t, err, fencing.ErrTimeout, tool)
	b, err := os.ReadFile(filepath.Join(dir, "pid"))
	if err != nil {
		t.Fatal(err)
	}
	var pid int
	fmt.Sscan(string(b), &pid)
	waittest.Until(t, waittest.Hang, "the tool's processes have ended", func() bool { return fencingtest.Ended(pid) })
}
