package agent

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"bascule/ha"
	"bascule/ha/node"
)

// peerMessage is what members say to each other while the store is away. It travels encrypted with the cluster's gossip key.
type peerMessage struct {
	Answer      bool           `json:"answer,omitempty"` // false: a request
	From        ha.NodeName    `json:"from"`
	Incarnation ha.Incarnation `json:"incarnation"` // of the asker
	Round       int64          `json:"round"`
	List        int64          `json:"list,omitempty"`
	TTL         time.Duration  `json:"ttl,omitempty"` // the asker's lease TTL
	Promise     bool           `json:"promise,omitempty"`
	Why         string         `json:"why,omitempty"`
}

// Receive takes a message of another member. It never blocks: what does not fit is as lost as on the way.
func (a *Agent) Receive(msg []byte) {
	select {
	case a.peers <- msg:
	default:
	}
}

// peerLoop hands the machine what gossip and the other members say.
func (a *Agent) peerLoop(ctx context.Context) error {
	a.send(ctx, node.GossipSeen{View: a.cfg.Gossip.View()})
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-a.heard:
			a.send(ctx, node.GossipSeen{View: a.cfg.Gossip.View()})
		case b := <-a.peers:
			var p peerMessage
			switch err := json.Unmarshal(b, &p); {
			case err != nil:
				a.log.WithField("reason", err.Error()).Warn("a message of another member is not understood; is it of another version?")
			case p.Answer:
				a.send(ctx, node.PeerAnswered{From: p.From, Incarnation: p.Incarnation, Round: p.Round, Promise: p.Promise, Why: p.Why})
			default:
				a.send(ctx, node.PeerAsked{From: p.From, Incarnation: p.Incarnation, Round: p.Round, List: p.List, TTL: p.TTL})
			}
		}
	}
}

func (a *Agent) askPeers(f node.AskPeers) {
	b := ha.Encode(peerMessage{From: a.cfg.Node.Self, Incarnation: a.cfg.Node.Incarnation, Round: f.Round, List: f.List, TTL: a.cfg.Node.Timing.LeaseTTL})
	for _, n := range f.To {
		a.tellPeer(n, b)
	}
}

func (a *Agent) answerPeer(f node.AnswerPeer) {
	a.tellPeer(f.To, ha.Encode(peerMessage{Answer: true, From: a.cfg.Node.Self, Incarnation: f.Incarnation, Round: f.Round, Promise: f.Promise, Why: f.Why}))
}

// tellPeer sends in the background: a member that is gone must not hold up the others.
func (a *Agent) tellPeer(to ha.NodeName, msg []byte) {
	go func() {
		if err := a.cfg.Gossip.Send(to, msg); err != nil {
			a.log.WithField("node", string(to)).WithField("reason", err.Error()).Debug("a message to another member was not sent")
		}
	}()
}

// notePeers tells the operator on what right the guests here run while the store is away.
func (a *Agent) notePeers(s node.State) {
	text := ""
	if now := a.cfg.Now(); s.Lease.OnPeers(now) {
		text = "the store (etcd) does not answer: the guests here run on because all other members promised not to recover them; nothing is started, moved or fenced until it is back; bring etcd back (hactl status names the voters)"
	} else if s.Peers.Failing && s.Lease.Valid(now) && s.Peers.Refused != "" {
		text = "the store (etcd) does not answer and the other members do not all promise to leave the guests here alone (" + s.Peers.Refused + "): the guests here are ended with the permit, and start again when the store answers; bring etcd or that member back"
	}
	a.Problem("peers", text)
	back := ""
	if s.Epoch.WentBack {
		back = "the store (etcd) shows an older state than this node has seen: it was restored or replaced; every guest is frozen until all members have reported; start basculed on those that have not, or hactl confirm-off what is off for good"
	}
	a.Problem("epoch", back)
	a.setProblem("unlisted", s.Unlisted(a.cfg.Node.Self) && !a.cfg.Node.Witness, "this node is not in the cluster's list of members, so it neither leads nor is asked for promises: bring the same members: into the configuration of all members and restart basculed on them, one after the other; the leader takes the list over")
}

// deputize revokes the lease of a leader that is proven off.
func (a *Agent) deputize(ctx context.Context, f node.RevokeLease) {
	c, cancel := context.WithTimeout(ctx, a.cfg.Node.Timing.RenewTimeout)
	defer cancel()
	err := a.cfg.Store.Revoke(c, f.ID)
	log := a.log.WithField("node", string(f.Node))
	if err != nil && !errors.Is(err, ha.ErrLeaseGone) {
		log.WithField("reason", err.Error()).Warn("the dead leader's lease could not be revoked; it runs out by itself")
		return
	}
	log.WithField("reason", "its power reads off and gossip lost it").Warn("as its deputy: the dead leader's lease is revoked, so that another is elected at once")
}
