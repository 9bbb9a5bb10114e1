package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"bascule/ha"
	"bascule/ha/api"
)

func newFence(h *hactl) *cobra.Command {
	var yes, force, dry bool
	cmd := &cobra.Command{
		Use:   "fence NODE",
		Short: "Switch a node off by force and recover its guests elsewhere, or try how that would go",
		Long: "Switches NODE off by force, proves it, and starts its guests on other nodes.\n\n" +
			"hactl fence NODE --dry-run and hactl fence test [NODE] switch nothing: they read the devices and show how it would go.\n" +
			"A node whose name is \"test\" is fenced with: hactl fence -- test",
		RunE: func(cmd *cobra.Command, args []string) error {
			if dry {
				return h.fenceTest(cmd, args[0])
			}
			s, err := h.checked(cmd, ha.RequestFence, args[0], force)
			if err != nil {
				return err
			}
			n, _ := findNode(s, args[0])
			io.WriteString(h.errs, h.errs.wrapped("", fmt.Sprintf("%s (%s) will be switched off by force, as if it had died. Its %d guests stop hard and start again on other nodes. To empty a node that works, use hactl drain.", n.Name, n.State, n.Guests)))
			if err := h.confirm(cmd.Context(), yes, fmt.Sprintf("Fence %s? [y/N] ", n.Name), "y"); err != nil {
				return err
			}
			a, err := h.request(cmd.Context(), ha.RequestFence, args[0], force)
			if err != nil {
				return err
			}
			return h.recorded(a, fmt.Sprintf("Fencing of %s is recorded; the leader carries it out. hactl status --watch follows it.", n.Name))
		},
	}
	h.nodeArg(cmd)
	cmd.AddCommand(newFenceTest(h))
	cmd.Flags().BoolVar(&dry, "dry-run", false, "switch nothing, show how it would go: the same as hactl fence test NODE")
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	cmd.Flags().BoolVar(&force, "force", false, "also if the node is being fenced or fenced already")
	return cmd
}

// checked asks for the status and whether the request makes sense in it, before the operator is asked anything.
func (h *hactl) checked(cmd *cobra.Command, kind ha.RequestKind, node string, force bool) (api.Status, error) {
	s, err := h.status(cmd.Context())
	if err != nil {
		return s, err
	}
	if !s.Etcd.Available || s.Health == api.HealthUnknown {
		return s, nil // the server refuses it with the store's own reason
	}
	if e := api.CheckRequest(s, kind, ha.NodeName(node), force); e != nil {
		return s, e
	}
	return s, nil
}

// recorded prints the answer to a request.
func (h *hactl) recorded(a api.RequestAnswer, say string) error {
	if done, err := h.structured(a, false); done {
		return err
	}
	_, err := io.WriteString(h.out, h.out.wrapped("", say)+h.out.dim("request "+a.ID)+"\n")
	return err
}
