package fencing_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"bascule/fencing"
	"bascule/ha"
)

func TestJoinerCollectsWhatANodeMustPublish(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		addresses := []string{"ip:10.0.0.2"}
		hang := make(chan struct{})
		defer close(hang)
		methods := fencing.Methods{
			{Name: "storage", Join: func(_ context.Context, s map[string]string, n ha.NodeName, inc ha.Incarnation) ([]string, error) {
				if s["fails"] != "" {
					return nil, errors.New("no such pool")
				}
				return append([]string{"key:" + string(n) + "-" + string(inc)}, addresses...), nil
			}},
			{Name: "hangs", Join: func(context.Context, map[string]string, ha.NodeName, ha.Incarnation) ([]string, error) {
				<-hang
				return nil, nil
			}},
			{Name: "bmc"},
		}
		j := fencing.NewJoiner([]fencing.Spec{
			{Name: "a", Node: "node2", Method: "storage"},
			{Name: "b", Node: "node2", Method: "storage", Settings: map[string]string{"fails": "yes"}},
			{Name: "c", Node: "node2", Method: "hangs"},
			{Name: "d", Node: "node3", Method: "storage"},
			{Name: "e", Node: "node2", Method: "bmc"},
			{Name: "f", Node: "node2", Method: "storage"}, // behind the one that hangs
		}, methods, "node2", "boot-7")
		problems := map[string]string{}
		told := func(device, problem string) { problems[device] = problem }
		if !j.Round(t.Context(), 20*time.Millisecond, told) {
			t.Error("nothing new")
		}
		if want := []string{"ip:10.0.0.2", "key:node2-boot-7"}; !slices.Equal(j.Clients(), want) {
			t.Errorf("clients %v, want %v", j.Clients(), want)
		}
		if len(problems) != 4 || problems["a"] != "" || problems["b"] == "" || problems["c"] == "" || problems["f"] != "" {
			t.Errorf("problems %q", problems)
		}
		addresses = []string{"ip:10.0.0.3"} // it got another address: both are published from now on
		if !j.Round(t.Context(), 20*time.Millisecond, told) || len(j.Clients()) != 3 {
			t.Errorf("clients %v", j.Clients())
		}
		if j.Round(t.Context(), 20*time.Millisecond, told) {
			t.Error("something new, and nothing is")
		}
		for range 20 { // one that hangs uses up all of a round's time, and its own only
			if j.Round(t.Context(), 20*time.Millisecond, told); problems["f"] != "" {
				t.Fatalf("it answered at once: %s", problems["f"])
			}
		}
	})
}
