package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"bascule/ha"
	"bascule/ha/api"
)

func newEtcd(h *hactl) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "etcd",
		Short: "Show and change who keeps the store (the embedded etcd's voters)",
		Long: "Shows the members of the embedded etcd, and lets voters in or takes them out, one at a time and never below a majority.\n" +
			"The configuration comes first: make the node a voter in members, the same list on every member, and restart basculed\n" +
			"on each, one after the other. Then ask here. What was begun stays when hactl is interrupted: ask again to go on.\n" +
			"A voter that is gone for ten minutes is replaced by a spare without being asked.\n" +
			"An external etcd (etcd.endpoints) is changed with its own tools.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			_ = cmd.Help()
			return &exitError{code: exitUsage}
		},
		Args: unknownCommand,
	}
	members := &cobra.Command{
		Use: "members", Short: "List the members of the embedded etcd", Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			var list []api.EtcdMember
			err := h.ask(cmd.Context(), func(ctx context.Context, c *api.Client) (err error) {
				list, err = c.EtcdMembers(ctx)
				return err
			})
			if err != nil {
				return err
			}
			return h.showMembers(list)
		},
	}
	add := &cobra.Command{
		Use: "add NODE", Short: "Let a configured voter in: as a learner first, it votes when it has copied everything",
		RunE: func(cmd *cobra.Command, args []string) error {
			return h.changeEtcd(cmd, api.EtcdChange{Op: api.EtcdAdd, Node: ha.NodeName(args[0])})
		},
	}
	remove := &cobra.Command{
		Use: "remove NODE", Short: "Take a voter out, if those that stay have their majority without it",
		RunE: func(cmd *cobra.Command, args []string) error {
			return h.changeEtcd(cmd, api.EtcdChange{Op: api.EtcdRemove, Node: ha.NodeName(args[0])})
		},
	}
	replace := &cobra.Command{
		Use: "replace NODE [BY]", Short: "Put BY in the place of the voter NODE, or let NODE in anew after its data were lost",
		RunE: func(cmd *cobra.Command, args []string) error {
			return h.changeEtcd(cmd, api.EtcdChange{Op: api.EtcdReplace, Node: ha.NodeName(args[0]), By: ha.NodeName(args[len(args)-1])})
		},
	}
	h.nodeArg(add)
	h.nodeArg(remove)
	h.nodeArgs(replace, cobra.RangeArgs(1, 2))
	cmd.AddCommand(members, add, remove, replace)
	return cmd
}

// changeEtcd asks for a change and shows what it led to.
func (h *hactl) changeEtcd(cmd *cobra.Command, c api.EtcdChange) error {
	if !cmd.Flags().Changed("timeout") { // a learner copies everything first
		h.timeout = max(h.timeout, api.EtcdChangeLimit+5*time.Second)
	}
	c.Operator = operator()
	var list []api.EtcdMember
	err := h.ask(cmd.Context(), func(ctx context.Context, a *api.Client) (err error) {
		list, err = a.ChangeEtcd(ctx, c)
		return err
	})
	if err != nil {
		return err
	}
	return h.showMembers(list)
}

func (h *hactl) showMembers(list []api.EtcdMember) error {
	if done, err := h.structured(list, false); done || err != nil {
		return err
	}
	_, err := io.WriteString(h.out, membersText(h.out, list))
	return err
}

// membersText renders etcd's members, then what they can bear.
func membersText(s *screen, list []api.EtcdMember) string {
	t := newTable(s, "NODE", "ROLE", "ANSWERS", "DB", "PEER", "ID", "NOTE")
	voters, answering := 0, 0
	for _, m := range list {
		role, answers := "voter", "no"
		switch {
		case m.Spare:
			t.row(s.bold(string(m.Node)), s.dim("spare"), "-", "-", m.Peer, "-", m.Problem)
			continue
		case m.Learner && !m.Started:
			role = "learner, not started"
		case m.Learner:
			role = "learner"
		case m.Leader:
			role = "voter, leader"
		}
		if m.Answers {
			answers = "yes"
		}
		if !m.Learner {
			voters++
			if m.Answers {
				answering++
			}
		}
		name := string(m.Node)
		if name == "" {
			name = "?"
		}
		t.row(s.bold(name), role, answers, fmt.Sprintf("%d KiB", m.DBSize/1024), m.Peer, m.ID, m.Problem)
	}
	majority := voters/2 + 1
	return t.render() + fmt.Sprintf("%d of %d voters answer, %d must; %d more may be lost.\n", answering, voters, majority, max(0, answering-majority))
}
