// Command basculed is Bascule's daemon. Without a subcommand it is a node's agent (and, when elected, the leader);
// `basculed guard` is the small process that ends this node's guests when the permit ends.
//
// The command knows every package and wires them together; it decides nothing.
package main

import (
	"github.com/spf13/cobra"

	"bascule/config"
)

// version is set by the build (-ldflags -X main.version=…).
var version = "devel"

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
		&cobra.Command{Use: "restore-onboot", Short: "Put \"start at boot\" back for the guests here, before Bascule is removed", Args: cobra.NoArgs,
			Long: "Protection sets a guest's onboot to 0. This sets it to 1 again for those guests on this node that had it, from the node's own list\n" +
				"(onboot.json in the data directory) and without the store. basculed must be stopped. Removing the package does it.",
			RunE: func(cmd *cobra.Command, _ []string) error {
				return restoreOnboot(cmd.Context(), cmd.OutOrStdout(), file)
			}},
		stopChecker(&file),
		fenceDevice(),
		restoreStore(&file),
		doctorFacts(&file),
		storageLook(),
		forgetStorages(&file),
	)
	return c
}

func stopChecker(file *string) *cobra.Command {
	var ofGuard bool
	c := &cobra.Command{Use: "stop-check", Short: "Fail while stopping basculed here could cost guests or the store", Args: cobra.NoArgs,
		Long: "Asks the basculed that runs here whether it can leave in order now: the store answers, and keeps its majority without this node.\n" +
			"With --guard: whether the guard is disarmed, so that its end is neither the guests' nor the node's. The package asks before an upgrade.",
		RunE: func(cmd *cobra.Command, _ []string) error { return stopCheck(cmd.Context(), *file, ofGuard) }}
	c.Flags().BoolVar(&ofGuard, "guard", false, "ask the guard instead")
	return c
}
