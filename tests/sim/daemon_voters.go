package sim

import (
	"bascule/ha"
	"bascule/ha/leader"
)

// votersLoop looks at who votes and who answers, as ha/agent's healthLoop does.
func (d *Daemon) votersLoop() {
	h := d.store.Health()
	if h.Available {
		d.etcd = leader.EtcdView{At: d.now(), Voters: h.Voters, Answering: h.Answering, Changing: h.Changing}
	}
	if d.etcdDown != h.OwnDown {
		d.etcdDown = h.OwnDown
		d.rep.wake()
	}
	d.p.After(healthEvery, d.votersLoop)
}

// replaceVoter carries out what the leader has recorded, one at a time.
func (d *Daemon) replaceVoter(o ha.VoterOrder) {
	if d.replacing {
		return
	}
	d.replacing = true
	d.w.judge.ordered(d, o)
	d.store.ReplaceLost(o, func(err error) {
		d.replacing = false
		if err != nil {
			d.w.loop.Logf(d.h.Name, "the vote of %s does not go to %s yet: %v", o.Old, o.By, err)
		}
		d.wakeLeader()
	})
}
