package main

import (
	"fmt"
	"strconv"

	"bascule/tests/lab"

	"github.com/spf13/cobra"
)

func newOperator(d *dirFlag) *cobra.Command {
	return &cobra.Command{
		Use: "operator NODE VMID start|stop|shutdown", Short: "Do what a person at the node's console would", Args: cobra.ExactArgs(3),
		Long: "operator starts or stops a guest as `qm` and `pct` do, behind Bascule's back.",
		RunE: func(c *cobra.Command, args []string) error {
			vmid, err := strconv.Atoi(args[1])
			if err != nil {
				return fmt.Errorf("%q is no VMID: write a number such as 101", args[1])
			}
			return d.do(c, "operator", lab.Command{Node: args[0], VMID: vmid, Action: args[2]})
		},
	}
}
