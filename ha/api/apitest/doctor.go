package apitest

import (
	"context"

	"bascule/ha/setup/doctor"
)

// Doctor implements api.Backend: what FactsAre set, else the bare facts of a daemon that looked at nothing.
func (f *Fake) Doctor(ctx context.Context) doctor.Facts {
	f.mu.Lock()
	facts, hold, v := f.facts, f.hold, f.view
	f.mu.Unlock()
	if hold != nil {
		select {
		case <-hold:
		case <-ctx.Done():
		}
	}
	if facts != nil {
		return *facts
	}
	return doctor.Facts{Version: doctor.FactsVersion, Node: v.Self, Daemon: v.Version, At: v.Wall,
		Config: &doctor.Config{Cluster: v.Cluster, Members: v.Members, Own: v.Self}}
}

// FactsAre fixes what the doctor finds here.
func (f *Fake) FactsAre(facts doctor.Facts) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.facts = &facts
}
