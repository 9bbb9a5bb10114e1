package main

import (
	"fmt"
	"io"

	"bascule/tests/lab"

	"github.com/spf13/cobra"
)

// dirFlag is the lab directory, common to all commands.
type dirFlag struct{ dir string }

// open connects to the lab.
func (d *dirFlag) open() (*lab.Lab, error) { return lab.Open(d.dir) }

func newRoot() *cobra.Command {
	d := &dirFlag{}
	root := &cobra.Command{
		Use:   "halab",
		Short: "A Bascule cluster on one machine, to try and to test",
		Long: `halab starts a whole cluster on this machine, without root: nodes with basculed and its guard, a simulated Proxmox VE
with guests, a network that can be cut, a BMC and a watchdog per node.

  halab up                      start a cluster of three nodes and six guests
  halab kill node2              cut a node's power; watch with: halab events --follow
  halab status                  what really runs where
  halab check                   was any guest ever able to write in two places?
  halab down                    end everything`,
		SilenceUsage: true, SilenceErrors: true,
	}
	root.PersistentFlags().StringVar(&d.dir, "dir", ".halab", "directory of the lab")
	root.AddCommand(
		newUp(d), newDown(d), newStatus(d), newEvents(d), newCheck(d),
		newKill(d), newPowerOn(d), newCut(d), newHeal(d), newLink(d),
		newBMC(d), newPVE(d), newStorage(d), newOperator(d), newSignal(d),
		newDemo(d), newColdStart(d), newBenchFailover(d), newBenchLoad(d), newIdle(d), newWorld(d),
	)
	return root
}

// say prints one line to the command's output.
func say(w io.Writer, format string, args ...any) { fmt.Fprintf(w, format+"\n", args...) }
