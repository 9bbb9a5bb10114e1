package sbd

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"bascule/fencing"
)

func TestSettings(t *testing.T) {
	good := map[string]string{"disks": " /dev/sda1,/dev/disk/by-id/x , /dev/mapper/y", "slot": "node2", "msgwait": "10s"}
	s, err := parse(good)
	if err != nil || len(s.disks) != 3 || s.disks[1] != "/dev/disk/by-id/x" || s.slot != "node2" || s.msgWait != 10*time.Second {
		t.Fatalf("%+v, %v", s, err)
	}
	for _, c := range []struct{ key, value, want string }{
		{"disks", "/dev/a,/dev/b,/dev/c,/dev/d", "4 disks"},
		{"disks", "/dev/a,/dev/a", "twice"},
		{"disks", "/dev/a,", `""`},
		{"disks", "/dev/../etc/shadow", "below /dev"},
		{"disks", "/mnt/file", "below /dev"},
		{"disks", "sda", "below /dev"},
		{"disks", "/dev/a;/dev/b/../c", "below /dev"},
		{"slot", strings.Repeat("n", 64), "1 to 63"},
		{"slot", "node 2", "without spaces"},
		{"slot", "nöde", "letters"},
		{"slot", "n\x00", "letters"},
		{"msgwait", "10", "duration"},
		{"msgwait", "-10s", "duration"},
		{"msgwait", "999ms", "from 1s"},
		{"msgwait", "61m", "to 1h"},
		{"msgwait", "soon", `"soon"`},
	} {
		bad := map[string]string{}
		for k, v := range good {
			bad[k] = v
		}
		bad[c.key] = c.value
		_, err := Method.Poison(bad)
		if !errors.Is(err, fencing.ErrSettings) || !strings.Contains(err.Error(), fmt.Sprintf("%q", c.key)) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %q: %v, want %q", c.key, c.value, err, c.want)
		}
	}
	if _, err := Method.Poison(map[string]string{"disks": "/dev/not-there", "slot": "n", "msgwait": "1s"}); err != nil {
		t.Errorf("a disk that is missing today: %v", err)
	}
}
