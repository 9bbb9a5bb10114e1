package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"bascule/ha/api"
)

// watchEvery is the pause between two statuses of status --watch.
const watchEvery = time.Second

func newStatus(h *hactl) *cobra.Command {
	var watch bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show nodes, guests, and what is wrong and what to do",
		Long:  "Shows the cluster as the asked basculed sees it.\n\nExit code: 0 all is well, 1 degraded, 2 no answer.",
		Args:  usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if watch {
				return h.watchStatus(cmd.Context())
			}
			s, err := h.status(cmd.Context())
			if err != nil {
				return err
			}
			if err := h.printStatus(s); err != nil {
				return err
			}
			if s.Health != api.HealthOK {
				return &exitError{code: exitDegraded}
			}
			return nil
		},
	}
	cmd.Flags().BoolVarP(&watch, "watch", "w", false, "show it again every second until interrupted")
	return cmd
}

func (h *hactl) printStatus(s api.Status) error {
	if done, err := h.structured(s, false); done {
		return err
	}
	_, err := io.WriteString(h.out, statusText(h.out, s))
	return err
}

// watchStatus shows the status until interrupted; a daemon that does not answer is shown as that and asked again.
func (h *hactl) watchStatus(ctx context.Context) error {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		s, err := h.status(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err := h.repaint(s, err); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func (h *hactl) repaint(s api.Status, failed error) error {
	if h.output != "text" {
		if failed != nil {
			h.errs.complain(failed.Error(), "")
			return nil
		}
		_, err := h.structured(s, true)
		return err
	}
	shown := ""
	if failed != nil {
		shown = h.out.wrapped(h.out.bold(time.Now().Format("15:04:05 ")), failed.Error()+" (asking again)")
	} else {
		shown = statusText(h.out, s)
	}
	if !h.out.tty {
		_, err := fmt.Fprintf(h.out, "%s\n", shown)
		return err
	}
	_, rows := h.out.size()
	_, err := io.WriteString(h.out, overwrite(shown, rows))
	return err
}

// overwrite returns the text that replaces what a terminal of so many rows shows, without flicker: home, each line
// cleared to its end, the rest cleared. What does not fit is counted.
func overwrite(shown string, rows int) string {
	lines := strings.Split(strings.TrimRight(shown, "\n"), "\n")
	if rows > 2 && len(lines) > rows-1 {
		left := len(lines) - (rows - 2)
		lines = append(lines[:rows-2:rows-2], fmt.Sprintf("… %d more lines: make the window higher", left))
	}
	return "\x1b[H" + strings.Join(lines, "\x1b[K\n") + "\x1b[K\n\x1b[J"
}
