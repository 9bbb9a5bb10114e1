package main

import (
	"strings"

	"bascule/tests/lab"
	"bascule/tests/lab/bmc"

	"github.com/spf13/cobra"
)

func newBMC(d *dirFlag) *cobra.Command {
	return &cobra.Command{
		Use: "bmc NODE FAULT|clear", Short: "Make a node's BMC fail in one way", Args: cobra.ExactArgs(2),
		Long: "bmc makes the BMC of NODE fail until it is cleared. Faults:\n  " + strings.Join(bmc.Kinds(), "\n  ") +
			"\nslow takes a duration: slow=4s. hang and refuse are the BMC's own death; dead-with-node is one that hangs on its node's power.",
		ValidArgs: bmc.Kinds(),
		RunE: func(c *cobra.Command, args []string) error {
			return d.do(c, "bmc", lab.Command{Node: args[0], Fault: args[1]})
		},
	}
}
