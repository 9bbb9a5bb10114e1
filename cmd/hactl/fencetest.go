package main

import (
	"context"
	"io"
	"time"

	"github.com/spf13/cobra"

	"bascule/ha"
	"bascule/ha/api"
)

func newFenceTest(h *hactl) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "test [NODE]",
		Short: "Show how a node would be fenced, without switching anything",
		Long: "Reads every fencing device of NODE (of all nodes without one) once and shows, level by level, what it would be told,\n" +
			"what it says now and after what time, and which proof it would give. Nothing is switched.\n\n" +
			"The asked basculed reads the devices itself; ask others too (--node ADDRESS), since any node may have to use them.\n" +
			"The devices of a node that is suspect or being fenced are left alone: the leader needs them. One test runs at a time;\n" +
			"hactl waits 30 s for it unless --timeout says otherwise.\n\n" +
			"Exit code: 0 every node could be proven off today by at least one device (power or poison pill: storages taken away and\n" +
			"its own watchdog do not count), 1 one could not or the test was refused, 2 no answer.",
		RunE: func(cmd *cobra.Command, args []string) error {
			node := ""
			if len(args) > 0 {
				node = args[0]
			}
			return h.fenceTest(cmd, node)
		},
	}
	h.nodeArgs(cmd, cobra.MaximumNArgs(1))
	return cmd
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
