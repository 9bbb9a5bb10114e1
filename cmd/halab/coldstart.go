package main

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"bascule/tests/lab/bench"

	"github.com/spf13/cobra"
)

func newColdStart(d *dirFlag) *cobra.Command {
	p := bench.Cold{}
	c := &cobra.Command{
		Use: "cold-start", Short: "Lose the power of everything, again and again", Args: cobra.NoArgs,
		Long: "cold-start cuts the power of all machines within two seconds and gives it back in random order, after random times, to machines\n" +
			"that boot at different speeds. In turn: all come back; one stays off until the others run everything; the switch comes back last;\n" +
			"one voter's etcd data are gone. Two thirds of the rounds are of three nodes, the others of two nodes and a witness with a QDevice.\n" +
			"A round ends when every guest runs, and then every machine is back. It counts, from what really ran: guests that are lost or ran\n" +
			"twice, starts without a permit, guests that ran elsewhere before the proof, and machines that were switched off although nothing was\n" +
			"wrong with them. The clock runs from the power-on of the last machine that was needed (its boot counts, the switch's return, too) to\n" +
			"the last guest's first line. The same seed draws the same rounds. It fails when anything but needless switching was counted.",
		RunE: func(c *cobra.Command, _ []string) error {
			if p.N < 1 {
				return fmt.Errorf("--n %d: at least one round is needed", p.N)
			}
			for _, site := range p.Sites {
				if !slices.Contains(bench.ColdSites, site) {
					return fmt.Errorf("--sites %q: choose from %v", site, bench.ColdSites)
				}
			}
			if p.Seed == 0 {
				p.Seed = uint64(time.Now().UnixNano()) % 1_000_000
			}
			p.Lab.Dir, p.Out = d.dir, c.OutOrStdout()
			set, err := p.Run(c.Context())
			say(p.Out, "%s", set.Summary())
			say(p.Out, "%s", set.Result())
			if err == nil && set.Bad() > 0 {
				err = errors.New("what never may happen has happened: see above; the lab's directory is kept")
			}
			return err
		},
	}
	labFlags(c, &p.Lab)
	for _, name := range []string{"nodes", "witness", "qdevice", "boot-time"} { // each site and round has its own
		_ = c.Flags().MarkHidden(name)
	}
	c.Flags().StringVar(&p.Lab.Corosync, "corosync", "default", "how long /etc/pve blocks when a node dies: default 8 s, tuned 2.2 s")
	c.Flags().IntVar(&p.N, "n", 20, "rounds")
	c.Flags().IntVar(&p.Only, "only", 0, "only the round with this number")
	c.Flags().Uint64Var(&p.Seed, "seed", 0, "of everything that is drawn; 0: from the clock, printed")
	c.Flags().DurationVar(&p.Longest, "longest", time.Minute, "the longest time from the outage's end to a machine's power-on")
	c.Flags().StringSliceVar(&p.Sites, "sites", bench.ColdSites, "three nodes, two nodes with a witness")
	return c
}
