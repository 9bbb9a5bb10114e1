package manual_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"bascule/fencing"
	"bascule/fencing/manual"
	"bascule/ha"
)

func TestAPersonIsNeverADevice(t *testing.T) {
	spec := fencing.Spec{Name: "someone", Node: "node2", Method: "manual"}
	asked := 0
	send := func(context.Context, fencing.Order) error { asked++; return nil }
	e, err := fencing.NewExecutor([]fencing.Spec{spec}, fencing.Methods{manual.Method}, send, fencing.BootNow)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range []ha.DeviceAction{ha.DeviceRead, ha.DeviceOff, ha.DeviceOn} {
		r := e.Do(context.Background(), ha.DeviceCommand{Device: "someone", Node: "node2", Action: a,
			Deadline: fencing.BootNow().Add(time.Minute), Timeout: time.Second})
		if r.Power != ha.PowerUnknown || !strings.Contains(r.Problem, "hactl confirm-off node2") {
			t.Errorf("%s: %+v; want no power and what a person does", a, r)
		}
	}
	if asked != 0 {
		t.Errorf("%d switching orders were sent", asked)
	}
	if manual.Method.Kind() != ha.ManualDevice {
		t.Errorf("%+v", manual.Method)
	}
}

func TestItHasNoSettings(t *testing.T) {
	_, err := fencing.Methods{manual.Method}.Open(fencing.Spec{Name: "p", Node: "node2", Method: "manual", Settings: map[string]string{"url": "x"}})
	if !errors.Is(err, fencing.ErrSettings) || !strings.Contains(err.Error(), `"url"`) {
		t.Errorf("%v", err)
	}
}
