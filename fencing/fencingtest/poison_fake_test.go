package fencingtest_test

import (
	"testing"
	"time"

	"bascule/fencing"
	"bascule/fencing/fencingtest"
)

func TestFakeSlotsConform(t *testing.T) {
	fakes := map[string]*fencingtest.FakeSlots{}
	method := fencingtest.PoisonMethod(fakes)
	fencingtest.RunPoison(t, fencingtest.Harness[fencingtest.Slots]{
		Method: method,
		New: func(t *testing.T) (fencingtest.Slots, map[string]string) {
			f := fencingtest.NewFakeSlots(10 * time.Second)
			fakes[t.Name()] = f
			return f, map[string]string{"machine": t.Name()}
		},
		Switch: fencingtest.InProcess(fencing.Methods{method}),
	}, 10*time.Second)
}
