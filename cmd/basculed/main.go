// Command basculed is Bascule's daemon. Without a subcommand it is a node's agent (and, when elected, the leader);
// `basculed guard` is the small process that ends this node's guests when the permit ends.
//
// The command knows every package and wires them together; it decides nothing.
package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"bascule/config"
)

// version is set by the build (-ldflags -X main.version=…).
var version = "devel"

// Exit statuses. exitConfig is EX_CONFIG: systemd does not restart on it.
const (
	exitFailure = 1
	exitConfig  = 78
)

func main() {
	if err := root().Execute(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		var c *config.Error
		if errors.As(err, &c) {
			os.Exit(exitConfig)
		}
		os.Exit(exitFailure)
	}
}

func root() *cobra.Command {
	var file string
	c := &cobra.Command{
		Use: "basculed", Short: "High-availability failover daemon for Proxmox VE", Version: version,
		SilenceUsage: true, SilenceErrors: true, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runAgent(cmd.Context(), file) },
	}
	c.PersistentFlags().StringVar(&file, "config", config.DefaultPath, "configuration file")
	c.AddCommand(
		&cobra.Command{Use: "guard", Short: "End this node's guests when its permit ends (own unit, bascule-guard.service)", Args: cobra.NoArgs,
			RunE: func(cmd *cobra.Command, _ []string) error { return runGuard(cmd.Context(), file) }},
		&cobra.Command{Use: "check-config", Short: "Say everything that is wrong with the configuration", Args: cobra.NoArgs,
			RunE: func(cmd *cobra.Command, _ []string) error { return checkConfig(cmd.OutOrStdout(), file) }},
		&cobra.Command{Use: "boot-check", Short: "Fail while a protected guest would be started by Proxmox at boot", Args: cobra.NoArgs,
			RunE: func(cmd *cobra.Command, _ []string) error { return bootCheck(cmd.Context(), cmd.OutOrStdout(), file) }},
		fenceDevice(),
	)
	return c
}
