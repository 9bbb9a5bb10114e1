package lab

import (
	"testing"
	"time"
)

func TestTasksAreReadFromTheirNames(t *testing.T) {
	booted := time.Unix(1000, 0)
	got, ok := parseTask("UPID:node1:000001A3:000003E8:6B021298:qmstart:101:bascule@pve!node1:", booted)
	if !ok || got.Node != "node1" || got.Type != "qmstart" || got.VMID != 101 || !got.Start.Equal(booted.Add(10*time.Second)) {
		t.Errorf("%+v, %t", got, ok)
	}
	for _, bad := range []string{"index", "UPID:node1:1:xyz:1:qmstart:101:root@pam:", "UPID:short"} {
		if got, ok := parseTask(bad, booted); ok {
			t.Errorf("%q was read as %+v", bad, got)
		}
	}
}

func TestMostAtOnce(t *testing.T) {
	at := func(ms int) time.Time { return time.Unix(0, 0).Add(time.Duration(ms) * time.Millisecond) }
	task := func(from, to int) Task { return Task{Start: at(from), End: at(to)} }
	for _, c := range []struct {
		name  string
		tasks []Task
		want  int
	}{
		{"none", nil, 0},
		{"one after the other", []Task{task(0, 100), task(100, 200), task(200, 300)}, 1},
		{"a start that is known to 10 ms only", []Task{task(0, 105), task(100, 200)}, 1},
		{"two, then three", []Task{task(0, 500), task(100, 200), task(300, 600), task(400, 450)}, 3},
	} {
		if got := MostAtOnce(c.tasks); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
}
