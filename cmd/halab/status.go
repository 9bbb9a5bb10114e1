package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"bascule/tests/lab"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"
)

func newStatus(d *dirFlag) *cobra.Command {
	var traffic bool
	c := &cobra.Command{
		Use: "status", Short: "Show what really runs where", Args: cobra.NoArgs,
		Long: "status shows the physical truth: power, processes from /proc, the guests' own lines. What Bascule believes is shown by hactl.",
		RunE: func(c *cobra.Command, _ []string) error {
			l, err := d.open()
			if err != nil {
				return err
			}
			s, err := l.Status(c.Context())
			if err != nil {
				return err
			}
			out, processes := c.OutOrStdout(), l.Processes()
			nodeTable(out, s, processes)
			if len(s.Cuts) > 0 {
				say(out, "cut: %s", strings.Join(s.Cuts, ", "))
			}
			if err := guestTable(out, l, processes); err != nil {
				return err
			}
			if traffic {
				trafficTable(out, s)
			}
			return nil
		},
	}
	c.Flags().BoolVar(&traffic, "traffic", false, "with what each node has sent and received")
	return c
}

func newTable(out io.Writer, header ...any) table.Writer {
	t := table.NewWriter()
	t.SetOutputMirror(out)
	t.SetStyle(table.StyleLight)
	t.AppendHeader(header)
	return t
}

func nodeTable(out io.Writer, s lab.WorldStatus, processes []lab.Process) {
	t := newTable(out, "node", "power", "boot", "guard", "basculed", "watchdog", "BMC", "corosync", "processes", "guests")
	for _, n := range s.Nodes {
		total, guests := 0, []string{}
		for _, p := range processes {
			if p.Node != n.Name {
				continue
			}
			total++
			if p.Guest != 0 {
				guests = append(guests, fmt.Sprint(p.Guest))
			}
		}
		slices.Sort(guests)
		watchdog := "-"
		if n.Watchdog > 0 {
			watchdog = "armed " + n.Watchdog.String()
		}
		quorate := "no quorum"
		switch {
		case n.Name == lab.WitnessName:
			quorate = "-" // it runs no Proxmox
		case n.Quorate:
			quorate = "quorate"
		}
		t.AppendRow(table.Row{
			n.Name, n.Power, fmt.Sprintf("%.8s", n.BootID), pid(n.Daemons["guard"]), pid(n.Daemons["basculed"]),
			watchdog, or(n.BMC, "none"), quorate, total, strings.Join(slices.Compact(guests), " "),
		})
	}
	t.Render()
}

func guestTable(out io.Writer, l *lab.Lab, processes []lab.Process) error {
	ids, err := l.LoggedGuests()
	if err != nil {
		return err
	}
	for _, id := range l.Options.GuestIDs() {
		if !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	t := newTable(out, "guest", "runs on", "last line from", "generation", "ago")
	for _, id := range ids {
		on := []string{}
		for _, p := range processes {
			if p.Guest == id && !slices.Contains(on, p.Node) {
				on = append(on, p.Node)
			}
		}
		where := or(strings.Join(on, " AND "), "nowhere")
		line, ok, err := l.LastLine(id)
		if err != nil {
			return err
		}
		if !ok {
			t.AppendRow(table.Row{id, where, "never ran", "", ""})
			continue
		}
		t.AppendRow(table.Row{id, where, line.Node, line.Generation, time.Since(line.At).Round(100 * time.Millisecond)})
	}
	t.Render()
	return nil
}

func trafficTable(out io.Writer, s lab.WorldStatus) {
	t := newTable(out, "node", "connections", "sent bytes", "received bytes", "sent datagrams", "received", "lost")
	for _, n := range s.Nodes {
		v := s.Counters[n.Name]
		t.AppendRow(table.Row{n.Name, v.Connections, v.SentBytes, v.RecvBytes, v.SentPackets, v.RecvPackets, v.LostPackets})
	}
	t.Render()
}

func pid(n int) string {
	if n == 0 {
		return "-"
	}
	return fmt.Sprint(n)
}

func or(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}
