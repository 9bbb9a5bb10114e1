package api_test

import (
	"errors"
	"strings"
	"testing"

	"bascule/ha/api"
	"bascule/ha/api/apitest"
	"bascule/ha/setup/doctor"
)

func TestDoctor(t *testing.T) {
	f := apitest.NewFake(apitest.Well())
	f.FactsAre(doctor.Facts{Version: doctor.FactsVersion, Node: "node1", Silent: []doctor.Silent{{Probe: "disk", Why: "did not answer"}}})
	client, _ := serve(t, f)
	got, err := client.Doctor(t.Context())
	if err != nil || got.Node != "node1" || len(got.Silent) != 1 || got.Silent[0].Probe != "disk" {
		t.Errorf("%v: %+v", err, got)
	}
}

// TestOneDoctorAtATime: two at once would measure each other's writes.
func TestOneDoctorAtATime(t *testing.T) {
	f := apitest.NewFake(apitest.Well())
	hold := make(chan struct{})
	f.HoldFenceTests(hold)
	client, _ := serve(t, f)
	ended := make(chan error, 2)
	for range 2 {
		go func() {
			_, err := client.Doctor(t.Context())
			ended <- err
		}()
	}
	var refused *api.Error
	if err := <-ended; !errors.As(err, &refused) || refused.Code != 409 || !strings.Contains(refused.Message, "a doctor looks at this node already") || refused.Do == "" {
		t.Errorf("the one that came second: %v", err)
	}
	close(hold)
	if err := <-ended; err != nil {
		t.Errorf("the other: %v", err)
	}
	if _, err := client.Doctor(t.Context()); err != nil {
		t.Errorf("a third: %v", err)
	}
}
