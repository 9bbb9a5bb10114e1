package main

import (
	"sync/atomic"

	"bascule/ha/agent"
)

// lateAgent lets gossip speak of the agent before there is one.
type lateAgent struct{ a atomic.Pointer[agent.Agent] }

func (l *lateAgent) set(a *agent.Agent) { l.a.Store(a) }

func (l *lateAgent) wake() {
	if a := l.a.Load(); a != nil {
		a.GossipChanged()
	}
}

func (l *lateAgent) receive(msg []byte) {
	if a := l.a.Load(); a != nil {
		a.Receive(msg)
	}
}

func (l *lateAgent) leaving() bool {
	a := l.a.Load()
	return a != nil && a.Leaving()
}
