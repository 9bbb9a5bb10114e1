package api_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"bascule/ha"
	"bascule/ha/api"
	"bascule/ha/api/apitest"
)

func TestEtcdsVotersAreShownAndChanged(t *testing.T) {
	f := apitest.NewFake(apitest.Well())
	f.SetEtcd(api.EtcdMember{ID: "1", Node: "node1", Started: true, Answers: true}, api.EtcdMember{ID: "2", Node: "node2", Started: true})
	c, _ := serve(t, f)
	list, err := c.EtcdMembers(t.Context())
	if err != nil || len(list) != 2 || list[1].Answers {
		t.Fatalf("%+v, %v", list, err)
	}
	list, err = c.ChangeEtcd(t.Context(), api.EtcdChange{Op: api.EtcdReplace, Node: "node2", By: "node3", Operator: "alice"})
	if err != nil || len(list) != 2 || list[1].Node != "node3" || len(f.EtcdChanges()) != 1 {
		t.Fatalf("%+v, %v", list, err)
	}
	for _, bad := range []api.EtcdChange{{}, {Op: "promote", Node: "a"}, {Op: api.EtcdAdd}, {Op: api.EtcdAdd, Node: "a", By: "b"}, {Op: api.EtcdReplace, Node: "a"}} {
		var e *api.Error
		if _, err := c.ChangeEtcd(t.Context(), bad); !errors.As(err, &e) || e.Code != 400 {
			t.Errorf("%+v: %v", bad, err)
		}
	}
	if len(f.EtcdChanges()) != 1 {
		t.Errorf("what is no change was carried out: %+v", f.EtcdChanges())
	}

	f.Fail(fmt.Errorf("adding node3: etcd's voters are not changed: node2 is not answering: bring it back"))
	var e *api.Error
	if _, err := c.ChangeEtcd(t.Context(), api.EtcdChange{Op: api.EtcdAdd, Node: "node3"}); !errors.As(err, &e) || e.Code != 409 || !strings.Contains(err.Error(), "bring it back") {
		t.Errorf("refused: %v", err)
	}
	f.Fail(fmt.Errorf("a majority must answer: %w", ha.ErrUnavailable))
	if _, err := c.ChangeEtcd(t.Context(), api.EtcdChange{Op: api.EtcdAdd, Node: "node3"}); !errors.As(err, &e) || e.Code != 503 || !strings.Contains(err.Error(), "without a majority of them nothing changes") {
		t.Errorf("without a majority: %v", err)
	}
}

// An external etcd is spoken of by its endpoints; how many members it has is not known.
func TestStatusOfAnExternalEtcd(t *testing.T) {
	v := apitest.Well()
	v.Store.External, v.Store.RaftLeader = true, "10.0.9.2:2379"
	v.Store.Voters = []string{"10.0.9.1:2379", "10.0.9.2:2379", "10.0.9.3:2379"}
	v.Store.Answering = v.Store.Voters[1:]
	v.Store.Problems = []string{"etcd raises an alarm (alarm:NOSPACE)"}
	s := api.BuildStatus(v)
	if !s.Etcd.External {
		t.Error("not said to be external")
	}
	text := fmt.Sprint(s.Problems)
	for _, want := range []string{"2 of the 3 endpoints of the external etcd answer: 10.0.9.1:2379 is not answering", "alarm:NOSPACE"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in %s", want, text)
		}
	}
	if strings.Contains(text, "majority") || strings.Contains(text, "voter") {
		t.Errorf("speaks of voters: %s", text)
	}
	v.Store.Available, v.Store.Answering, v.Store.Reason = false, nil, "connection refused"
	text = fmt.Sprint(api.BuildStatus(v).Problems)
	if !strings.Contains(text, "the store (an external etcd) is away") || !strings.Contains(text, "0 of 3 endpoints answer") {
		t.Error(text)
	}
}
