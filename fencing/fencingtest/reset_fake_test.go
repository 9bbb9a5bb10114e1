package fencingtest_test

import (
	"testing"

	"bascule/fencing"
	"bascule/fencing/fencingtest"
)

func TestFakeResetConforms(t *testing.T) {
	fakes := map[string]*fencingtest.FakeReset{}
	method := fencingtest.ResetMethod(fakes)
	fencingtest.RunReset(t, fencingtest.Harness[fencingtest.Resettable]{
		Method: method,
		New: func(t *testing.T) (fencingtest.Resettable, map[string]string) {
			f := fencingtest.NewFakeReset()
			fakes[t.Name()] = f
			return f, map[string]string{"machine": t.Name()}
		},
		Switch: fencingtest.InProcess(fencing.Methods{method}),
	})
}
