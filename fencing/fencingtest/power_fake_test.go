package fencingtest_test

import (
	"context"
	"testing"
	"time"

	"bascule/fencing"
	"bascule/fencing/fencingtest"
	"bascule/ha"
)

func TestFakeConforms(t *testing.T) {
	fakes := map[string]*fencingtest.Fake{}
	method := fencingtest.Method(fakes)
	fencingtest.Run(t, fencingtest.Harness[fencingtest.Machine]{
		Method: method,
		New: func(t *testing.T) (fencingtest.Machine, map[string]string) {
			f := fencingtest.NewFake(fencingtest.UUID)
			fakes[t.Name()] = f
			return f, map[string]string{"machine": t.Name()}
		},
		Switch: fencingtest.InProcess(fencing.Methods{method}),
	})
}

func TestExecutorOverFakes(t *testing.T) {
	clock := ha.Instant(1000)
	fakes := map[ha.NodeName]*fencingtest.Fake{"node1": fencingtest.NewFake(fencingtest.UUID), "node2": fencingtest.NewFake(fencingtest.OtherUUID)}
	e, err := fencingtest.NewExecutor(func() ha.Instant { clock++; return clock }, fakes)
	if err != nil {
		t.Fatal(err)
	}
	cmd := ha.DeviceCommand{Device: fencingtest.DeviceName("node2"), Node: "node2", Action: ha.DeviceOff,
		Deadline: clock.Add(time.Minute), Timeout: time.Second}
	if r := e.Do(context.Background(), cmd); r.Problem != "" || r.Asked <= 1000 || r.Answered <= r.Asked {
		t.Fatalf("off: %+v", r)
	}
	if fakes["node2"].Power() != ha.PowerOff || fakes["node1"].Power() != ha.PowerOn {
		t.Fatalf("node1 %s, node2 %s", fakes["node1"].Power(), fakes["node2"].Power())
	}
}
