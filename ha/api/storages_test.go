package api_test

import (
	"strings"
	"testing"

	"bascule/ha"
	"bascule/ha/api"
	"bascule/ha/api/apitest"
)

// TestStorageProblems: what people are told of storages, with what to do.
func TestStorageProblems(t *testing.T) {
	s := api.BuildStatus(apitest.Storages())
	for _, c := range []struct {
		severity      api.Severity
		subject       string
		what, why, do string
	}{
		{api.Critical, "storage nas", "node2 has lost storage nas, which works elsewhere: 2 guests affected", "node2 (for 90 s): it gave no answer in time", "its guests leave when there is a place"},
		{api.Critical, "storage old", "works on no node that looks at it; guests stay where they are: 1 guest affected", "node3 (for 20 min): reading /dev/sdc", "none is moved"},
		{api.Critical, "VM 104 (mail)", "leaves node2 for node3 and cannot be ended there", "1 processes", "hactl fence node2"},
		{api.Warning, "storage san", "multipath: 1 of 2 paths left", "seen by node3", "multipath -ll"},
		{api.Warning, "storage ceph-vm", "noout", "node1, node2, node3", "ceph osd unset noout"},
	} {
		found := false
		for _, p := range s.Problems {
			found = found || p.Severity == c.severity && p.Subject == c.subject && strings.Contains(p.What, c.what) && strings.Contains(p.Why, c.why) && strings.Contains(p.Do, c.do)
		}
		if !found {
			t.Errorf("nobody is told %q of %s", c.what, c.subject)
		}
	}
	if len(s.Problems) != 5 || s.Health != api.HealthDegraded {
		t.Errorf("%d problems, health %s: %+v", len(s.Problems), s.Health, s.Problems)
	}
}

// TestStoragesOfTheLiving: what a node said that holds no lease is old.
func TestStoragesOfTheLiving(t *testing.T) {
	v := apitest.Storages()
	delete(v.Snapshot.Leases, "node2")
	for _, x := range api.BuildStatus(v).Storages {
		if len(x.Nodes) != 2 {
			t.Errorf("%s is shown as seen by %+v", x.Name, x.Nodes)
		}
		for _, n := range x.Nodes {
			if x.Name == "nas" && n.State != ha.StorageGood {
				t.Errorf("nas is %s on %s", n.State, n.Node)
			}
		}
	}
}
