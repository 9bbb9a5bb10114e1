package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"bascule/ha"
)

func newUndrain(h *hactl) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "undrain NODE",
		Short: "End a node's maintenance: it takes guests again",
		RunE: func(cmd *cobra.Command, args []string) error {
			a, err := h.request(cmd.Context(), ha.RequestUndrain, args[0], false)
			if err != nil {
				return err
			}
			return h.recorded(a, fmt.Sprintf("%s may take guests again.", args[0]))
		},
	}
	h.nodeArg(cmd)
	return cmd
}
