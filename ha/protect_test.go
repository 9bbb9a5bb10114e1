package ha

import "testing"

func TestProtectChooses(t *testing.T) {
	p := Protect{Tags: []string{"ha", "Prod"}, Pools: []string{"club"}, VMIDs: []VMID{104}}
	for _, tt := range []struct {
		id          VMID
		tags, pools []string
		want        bool
	}{
		{100, nil, nil, false},
		{100, []string{"web", "HA"}, nil, true},
		{100, []string{"prod"}, nil, true},
		{100, []string{"half"}, []string{"Club"}, false},
		{100, nil, []string{"other", "club"}, true},
		{104, nil, nil, true},
	} {
		if got := p.Chooses(tt.id, tt.tags, tt.pools); got != tt.want {
			t.Errorf("%d, tags %q, pools %q: %t", tt.id, tt.tags, tt.pools, got)
		}
	}
	if !(Protect{All: true}).Chooses(100, nil, nil) || (Protect{}).Chooses(100, []string{""}, []string{""}) {
		t.Error("all is all, and nothing chooses nothing")
	}
}
