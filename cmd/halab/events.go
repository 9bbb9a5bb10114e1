package main

import (
	"time"

	"bascule/tests/lab"

	"github.com/spf13/cobra"
)

func newEvents(d *dirFlag) *cobra.Command {
	var follow bool
	c := &cobra.Command{
		Use: "events", Short: "Show what happened to the lab's hardware", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			l, err := lab.OpenOffline(d.dir)
			if err != nil {
				return err
			}
			tick := time.NewTicker(100 * time.Millisecond)
			defer tick.Stop()
			for offset := int64(0); ; {
				events, next, err := l.Events(offset)
				if err != nil {
					return err
				}
				offset = next
				for _, e := range events {
					say(c.OutOrStdout(), "%s", e)
				}
				if !follow {
					return nil
				}
				select {
				case <-tick.C:
				case <-c.Context().Done():
					return nil
				}
			}
		},
	}
	c.Flags().BoolVarP(&follow, "follow", "f", false, "go on until interrupted")
	return c
}
