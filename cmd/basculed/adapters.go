package main

import (
	"context"
	"strings"
	"time"

	"bascule/ha"
	"bascule/ha/agent"
	"bascule/ha/etcd"
	"bascule/ha/guard"
	"bascule/ha/node"
	"bascule/ha/proxmox"
)

// The adapters know only package ha; these give them the shape of the agent's ports.

type storePort struct{ *etcd.Store }

// Health says whether the store answers, and who does.
func (s storePort) Health(ctx context.Context) ha.StoreHealth {
	h := s.Store.Health(ctx)
	out := ha.StoreHealth{Available: h.Quorum, External: h.External, RaftLeader: h.Leader, Reason: h.Why, Problems: h.Problems,
		Spares: h.Spares, Changing: h.Changing, OwnDown: h.OwnDown}
	for _, m := range h.Members {
		if m.Vote == etcd.VoteNone || m.Vote == etcd.VoteLearner || m.Vote == etcd.VoteSpare {
			continue // it is no part of any majority
		}
		out.Voters = append(out.Voters, m.Name)
		if m.Answers || !h.Quorum && m.Name == h.Starting { // its own member is there: it is the others who are missing
			out.Answering = append(out.Answering, m.Name)
		}
	}
	return out
}

type proxmoxPort struct {
	*proxmox.Driver
}

// Claim takes a guest's config over.
func (p proxmoxPort) Claim(ctx context.Context, id ha.VMID, kind ha.GuestKind, from ha.NodeName) error {
	_, err := p.Driver.Claim(ctx, id, kind, from)
	return err
}

// SetOnboot sets whether Proxmox starts the guest at boot.
func (p proxmoxPort) SetOnboot(ctx context.Context, id ha.VMID, kind ha.GuestKind, on bool) error {
	_, err := p.Driver.SetOnboot(ctx, id, kind, on)
	return err
}

// Migrate moves a guest away.
func (p proxmoxPort) Migrate(ctx context.Context, id ha.VMID, kind ha.GuestKind, target ha.NodeName, live bool) error {
	return p.Driver.Migrate(ctx, id, kind, target, live)
}

// StopCause tells a user's stop from the others. A stop of our own token is none: only a disabled guest is stopped by us, and
// that is not asked about.
func (p proxmoxPort) StopCause(ctx context.Context, id ha.VMID, since time.Time) (ha.StopCause, string, error) {
	c, err := p.Driver.StopCause(ctx, id, since)
	if err != nil {
		return "", "", err
	}
	switch c.Kind {
	case proxmox.CauseUser:
		return ha.CauseUser, c.String(), nil
	case proxmox.CausePVE:
		if c.Over {
			return ha.CausePassed, c.String(), nil
		}
		return ha.CausePassing, c.String(), nil
	case proxmox.CauseGone:
		return ha.CausePassing, c.String(), nil
	}
	return ha.CauseNone, c.String(), nil
}

type guardPort struct{ *guard.Client }

// Permit renews the permit and replaces the guard's list of guests.
func (g guardPort) Permit(ctx context.Context, inc ha.Incarnation, deadline ha.Instant, guests []ha.GuestRef) error {
	_, err := g.Client.Permit(ctx, node.GuardPermit{Incarnation: inc, Deadline: deadline, Guests: guests})
	return err
}

// End ends the permit before its deadline.
func (g guardPort) End(ctx context.Context) error { _, err := g.Client.End(ctx); return err }

// Arm is agent.Guard.
func (g guardPort) Arm(ctx context.Context) error { _, err := g.Client.Arm(ctx); return err }

// Disarm is the orderly stop.
func (g guardPort) Disarm(ctx context.Context) error { _, err := g.Client.Disarm(ctx); return err }

// Obey says whether a leader may count on messages in this node's slots.
func (g guardPort) Obey(ctx context.Context, obey bool) error {
	_, err := g.Client.Obey(ctx, obey)
	return err
}

// Status asks how the guard is. Clean: nothing of what it watches can be running without a permit.
func (g guardPort) Status(ctx context.Context) (ha.GuardStatus, error) {
	s, err := g.Client.Status(ctx)
	if err != nil {
		return ha.GuardStatus{}, err
	}
	clean := s.Phase == node.GuardIdle || s.Phase == node.GuardClean || s.Phase == node.GuardDisarmed || len(s.Guests) == 0
	out := ha.GuardStatus{Connected: true, Phase: string(s.Phase), Driver: s.Driver, Armed: s.Armed, Deadline: s.Deadline, Clean: clean, Detail: s.Detail,
		Guests: s.Guests, Timing: s.Timing, Version: s.Version}
	if x := s.Slots; x != nil {
		out.Slots, out.SlotsSeen, out.SlotsHeld, out.SlotsProblem = x.Devices, x.Seen, x.Held, x.Problem
	}
	return out, nil
}

type processPort struct{ *guard.ProcFS }

// Find returns the living processes of guests on this node.
func (p processPort) Find(ids []ha.GuestRef) ([]agent.Process, error) {
	found, err := p.ProcFS.Find(ids)
	out := make([]agent.Process, 0, len(found))
	for _, f := range found {
		out = append(out, agent.Process{PID: f.PID, Start: f.StartTime, Guest: f.VMID, What: f.What, Incoming: incoming(f.Cmdline)})
	}
	return out, err
}

// Kill ends exactly this process.
func (p processPort) Kill(q agent.Process) error {
	return p.ProcFS.Kill(guard.Proc{PID: q.PID, StartTime: q.Start, What: q.What, VMID: q.Guest})
}

// incoming says whether a QEMU process waits for a migration into it.
func incoming(cmdline string) bool { return strings.Contains(cmdline, "-incoming") }
