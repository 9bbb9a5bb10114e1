package fencingtest

import (
	"context"

	"bascule/fencing"
	"bascule/ha"
)

// Method is a fencing method whose devices are fakes: setting "machine" chooses one of them.
func Method(fakes map[string]*Fake) fencing.Method {
	return fencing.Method{Name: "fake", Keys: fakeKeys, Power: func(settings map[string]string) (fencing.PowerDevice, error) {
		return chosen(fakes, settings)
	}}
}

// InProcess sends orders from this process. It does not honour R4 (nothing kills it at the deadline): for tests only.
func InProcess(methods fencing.Methods) fencing.Switcher {
	return func(ctx context.Context, o fencing.Order) error { return o.Send(ctx, methods) }
}

// DeviceName is what NewExecutor calls the device of a node.
func DeviceName(n ha.NodeName) string { return "fake-" + string(n) }

// NewExecutor returns a real executor over one fake per node, called DeviceName(node), with this clock.
func NewExecutor(now func() ha.Instant, fakes map[ha.NodeName]*Fake) (*fencing.Executor, error) {
	byName := map[string]*Fake{}
	var specs []fencing.Spec
	for n, f := range fakes {
		byName[string(n)] = f
		specs = append(specs, fencing.Spec{Name: DeviceName(n), Node: n, Method: "fake", Settings: map[string]string{"machine": string(n)}})
	}
	methods := fencing.Methods{Method(byName)}
	return fencing.NewExecutor(specs, methods, InProcess(methods), now)
}
