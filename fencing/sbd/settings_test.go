package sbd

import (
	"strings"
	"testing"
	"time"

	"bascule/fencing/fencingtest"
)

func TestSettings(t *testing.T) {
	good := map[string]string{"disks": " /dev/sda1,/dev/disk/by-id/x , /dev/mapper/y", "slot": "node2", "msgwait": "10s"}
	s, err := parse(good)
	if err != nil || len(s.disks) != 3 || s.disks[1] != "/dev/disk/by-id/x" || s.slot != "node2" || s.msgWait != 10*time.Second {
		t.Fatalf("%+v, %v", s, err)
	}
	fencingtest.TrySettings(t, Method, good, []fencingtest.Setting{
		{"disks", "/dev/a,/dev/b,/dev/c,/dev/d", `"disks" names 4 disks`},
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
	})
	if _, err := Method.Poison(map[string]string{"disks": "/dev/not-there", "slot": "n", "msgwait": "1s"}); err != nil {
		t.Errorf("a disk that is missing today: %v", err)
	}
}
