package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"bascule/ha"
	"bascule/ha/api"
)

func newConfirmOff(h *hactl) *cobra.Command {
	var yes, force bool
	cmd := &cobra.Command{
		Use:   "confirm-off NODE",
		Short: "Assert that a dead node is really off, where no device can prove it",
		Long: "You assert, under your name, that NODE has no power now or will not run again as it did.\n" +
			"Its guests are then started elsewhere. If it still runs, they write to the same disks twice,\nand the disks are destroyed.",
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := h.checked(cmd, ha.RequestConfirmOff, args[0], force)
			if err != nil {
				return err
			}
			n, _ := findNode(s, args[0])
			io.WriteString(h.errs, assertion(h.errs, n))
			if err := h.confirm(cmd.Context(), yes, "Type the node's name to assert that it is off: ", args[0]); err != nil {
				return err
			}
			a, err := h.request(cmd.Context(), ha.RequestConfirmOff, args[0], force)
			if err != nil {
				return err
			}
			return h.recorded(a, fmt.Sprintf("Recorded: %s is off, on your word. The leader recovers its guests. Keep it off until hactl status shows it fenced.", args[0]))
		},
	}
	h.nodeArg(cmd)
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask: you have checked it")
	cmd.Flags().BoolVar(&force, "force", false, "also where the cluster believes that the node lives")
	return cmd
}

// assertion explains what the operator is about to assert.
func assertion(s *screen, n api.Node) string {
	return s.wrapped("", fmt.Sprintf("%s is %s; boot %s.", n.Name, n.State, orUnknown(string(n.Incarnation)))) +
		s.wrapped("", fmt.Sprintf("You assert, under your name, that this machine is OFF: you stand before it, or its power is cut. \"It does not answer\" is not off. On your word its %d guests are started elsewhere; if it still runs, they run twice and their disks are destroyed.", n.Guests))
}

func orUnknown(s string) string {
	if s == "" {
		return "not known"
	}
	return s
}
