package main

import (
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"bascule/tests/lab"

	"github.com/spf13/cobra"
)

// labFlags are the flags of every command that builds a lab.
func labFlags(c *cobra.Command, o *lab.Options) {
	f := c.Flags()
	f.IntVar(&o.Nodes, "nodes", 3, fmt.Sprintf("number of nodes, 1 to %d", lab.MaxNodes))
	f.BoolVar(&o.Witness, "witness", false, "one machine more, which only votes for the store")
	f.BoolVar(&o.QDevice, "qdevice", false, "the witness gives corosync a vote, too")
	f.IntVar(&o.Guests, "guests", 6, "number of protected guests (-1 for none)")
	f.IntVar(&o.Pile, "pile", 0, "protected guests more, all of them on the last node")
	f.StringVar(&o.Timing, "timing", "normal", "Bascule's timing profile: fast, normal, patient")
	f.StringVar(&o.Fencing, "fencing", "redfish", "how nodes are fenced: "+strings.Join(lab.Fencings, ", "))
	f.StringVar(&o.Bin, "bin", "bin", "directory of basculed and hactl")
	f.DurationVar(&o.BootTime, "boot-time", 3*time.Second, "from a node's power-on to its first process")
	f.DurationVar(&o.OffTime, "off-time", 800*time.Millisecond, "how long a BMC takes to switch off")
}

func newUp(d *dirFlag) *cobra.Command {
	var o lab.Options
	c := &cobra.Command{
		Use: "up", Short: "Start a lab", Args: cobra.NoArgs,
		Long: "up starts a lab and returns when every node is online. It gives up after a minute and shows the log that tells why.\n" +
			"A directory with an earlier lab that is down is replaced.",
		RunE: func(c *cobra.Command, _ []string) error {
			o.Dir = d.dir
			out, start := c.OutOrStdout(), time.Now()
			o.Progress = func(line string) { say(out, "%5.1f s  %s", time.Since(start).Seconds(), line) }
			l, err := lab.Up(c.Context(), o)
			if err != nil {
				return err
			}
			o.Progress("every node is online")
			summary(out, l)
			return nil
		},
	}
	labFlags(c, &o)
	c.Flags().StringVar(&o.Corosync, "corosync", "default", "how long /etc/pve blocks when a node dies: default 8 s, tuned 2.2 s")
	c.Flags().BoolVar(&o.Storages, "storages", false, "a second shared storage, ceph-data, with half of the guests on it")
	c.Flags().BoolVar(&o.Unprotected, "unprotected", false, "one guest more, without protection")
	c.Flags().DurationVar(&o.StartTimeout, "start-timeout", time.Minute, "give up after this time")
	return c
}

// summary tells what to do with the lab that has come up.
func summary(w io.Writer, l *lab.Lab) {
	first := l.Names()[0]
	fmt.Fprintf(w, `
The lab is up: %d nodes, %d protected guests, in %s.

  ask Bascule        %s --socket %s status
  what really runs   halab --dir %s status
  cut a node's power halab --dir %s kill %s
  logs of a node     %s
  the world's log    %s
  end everything     halab --dir %s down
`, len(l.Names()), len(l.Options.GuestIDs()), l.Dir,
		filepath.Join(l.Options.Bin, "hactl"), l.APISocket(first),
		l.Dir, l.Dir, l.Names()[len(l.Names())-1],
		filepath.Join(l.NodeDir(first), "log"), filepath.Join(l.Dir, "world.log"), l.Dir)
}
