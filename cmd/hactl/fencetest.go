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

func newFenceTest(h *hactl) *cobra.Command {
	confirm, yes := "", false
	cmd := &cobra.Command{
		Use:   "test [NODE]",
		Short: "Show how a node would be fenced, without switching anything",
		Long: "Reads every fencing device of NODE (of all nodes without one) once and shows, level by level, what it would be told,\n" +
			"what it says now and after what time, and which proof it would give. Nothing is switched.\n\n" +
			"The asked basculed reads the devices itself; ask others too (--node ADDRESS), since any node may have to use them.\n" +
			"The devices of a node that is suspect or being fenced are left alone: the leader needs them. One test runs at a time;\n" +
			"hactl waits 30 s for it unless --timeout says otherwise.\n\n" +
			"Some devices (power strips, most fence agents) do not tell which machine they switch and prove nothing until somebody has tried:\n" +
			"switch NODE off and on with DEVICE yourself, see that it was this machine, then say so with --confirm DEVICE.\n\n" +
			"Exit code: 0 every node could be proven off today by at least one device (power, poison pill, or a reset whose next boot\n" +
			"proves it: storages taken away and its own watchdog do not count), 1 one could not or the test was refused, 2 no answer.",
		RunE: func(cmd *cobra.Command, args []string) error {
			node := ""
			if len(args) > 0 {
				node = args[0]
			}
			if cmd.Flags().Changed("confirm") {
				return h.confirmTest(cmd, node, confirm, yes)
			}
			return h.fenceTest(cmd, node)
		},
	}
	h.nodeArgs(cmd, cobra.MaximumNArgs(1))
	cmd.Flags().StringVar(&confirm, "confirm", "", "record that you have switched NODE off and on with this `DEVICE` and it was this machine")
	cmd.Flags().BoolVar(&yes, "asserted", false, "with --confirm: do not ask; not --yes, so that hactl fence --yes test stays an error")
	return cmd
}

// confirmTest records an operator's own test of a device.
func (h *hactl) confirmTest(cmd *cobra.Command, node, device string, yes bool) error {
	if node == "" || device == "" {
		return usagef("--confirm needs the node and its device: hactl fence test NODE --confirm DEVICE")
	}
	if _, err := h.checked(cmd, ha.RequestConfirmTest, node, false); err != nil {
		return err
	}
	io.WriteString(h.errs, h.errs.wrapped("", fmt.Sprintf("You assert, under your name, that you have switched %s off and on with %s and saw that it was this machine. From then on its \"off\" proves the end of %s; if it switches another machine, guests run twice and their disks are destroyed. Test again whenever its address or outlet changes.", node, device, node)))
	if err := h.confirm(cmd.Context(), yes, "Type the node's name to assert it: ", node); err != nil {
		return err
	}
	a, err := h.requestBody(cmd.Context(), ha.RequestConfirmTest, api.RequestBody{Node: ha.NodeName(node), By: operator(), Device: device})
	if err != nil {
		return err
	}
	return h.recorded(a, fmt.Sprintf("Recorded: you have tested %s on %s. hactl fence test %s shows whether it counts now; hactl events says why not.", device, node, node))
}

// fenceTest asks for a test of a node ("": of all) and shows it.
func (h *hactl) fenceTest(cmd *cobra.Command, node string) error {
	if !cmd.Flags().Changed("timeout") { // devices take their time
		h.timeout = max(h.timeout, api.FenceTestLimit+5*time.Second)
	}
	var t api.FenceTest
	err := h.ask(cmd.Context(), func(ctx context.Context, c *api.Client) (err error) {
		t, err = c.FenceTest(ctx, ha.NodeName(node))
		return err
	})
	if err != nil {
		return err
	}
	if done, err := h.structured(t, false); err != nil {
		return err
	} else if !done {
		if _, err := io.WriteString(h.out, fenceTestText(h.out, t)); err != nil {
			return err
		}
	}
	for _, n := range t.Nodes {
		if !n.Provable {
			return &exitError{code: exitDegraded}
		}
	}
	return nil
}
