package main

import (
	"context"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"bascule/ha"
	"bascule/ha/api"
)

// hactl is one run of the command: where it reads and writes, and the global flags.
type hactl struct {
	in        io.Reader
	out, errs *screen

	socket, node  string
	ca, cert, key string
	tlsChosen     bool // one of these was given
	output        string
	timeout       time.Duration
	socketGiven   bool // by --socket
}

func newRoot(h *hactl) *cobra.Command {
	root := &cobra.Command{
		Use:   "hactl",
		Short: "Look at and steer Bascule, the failover daemon for Proxmox VE",
		Long: "hactl shows what Bascule does, what is wrong and what to do about it, and takes the operator's wishes.\n\n" +
			"Exit codes: 0 well, 1 degraded, refused or failed, 2 no answer from basculed, 64 wrong usage.",
		SuggestionsMinimumDistance: 2,
		SilenceErrors:              true, SilenceUsage: true,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			h.socketGiven = cmd.Flags().Changed("socket")
			for _, name := range []string{"ca", "cert", "key"} {
				h.tlsChosen = h.tlsChosen || cmd.Flags().Changed(name)
			}
			return h.check()
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			_ = cmd.Help()
			return &exitError{code: exitUsage}
		},
		Args: unknownCommand,
	}
	f := root.PersistentFlags()
	f.StringVar(&h.socket, "socket", "/run/bascule/api.sock", "unix `PATH` of the local basculed's API")
	f.StringVar(&h.node, "node", "", "ask the basculed at `ADDRESS[:8790]` over TLS instead")
	f.StringVar(&h.ca, "ca", "/etc/bascule/tls/ca.pem", "with --node: the cluster authority's certificate `FILE`")
	f.StringVar(&h.cert, "cert", "/etc/bascule/tls/node.pem", "with --node: the own certificate `FILE`")
	f.StringVar(&h.key, "key", "/etc/bascule/tls/node.key", "with --node: the own certificate's key `FILE`")
	f.StringVarP(&h.output, "output", "o", "text", "`FORMAT` of the output: text, json or yaml")
	f.DurationVar(&h.timeout, "timeout", 10*time.Second, "how long to wait for an answer")
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usagef("%v (see %s --help)", err, c.CommandPath())
	})
	root.AddCommand(newStatus(h), newEvents(h), newFence(h), newConfirmOff(h), newDrain(h), newUndrain(h), newEtcd(h),
		newInit(h), newJoin(h), newRemove(h), newReset(h), newBackup(h), newRestore(h), newKeys(h), newWitness(h),
		newDoctor(h), newReplay(h), newVersion(h))
	return root
}

func (h *hactl) check() error {
	switch h.output {
	case "text", "json", "yaml":
	default:
		return usagef("-o %s: the formats are text, json and yaml", h.output)
	}
	if h.timeout <= 0 {
		return usagef("--timeout %v: must be above 0", h.timeout)
	}
	return nil
}

// unknownCommand refuses what is left for the root command, with the commands that it may have meant.
func unknownCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if meant := cmd.SuggestionsFor(args[0]); len(meant) > 0 {
		return usagef("unknown command %q: did you mean %s? (see hactl --help)", args[0], strings.Join(meant, " or "))
	}
	return usagef("unknown command %q (see hactl --help)", args[0])
}

// usageArgs turns a complaint about the number of arguments into a usage error.
func usageArgs(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return usagef("%v (usage: %s)", err, cmd.UseLine())
		}
		return nil
	}
}

// client returns the client that the flags describe.
func (h *hactl) client() (*api.Client, error) {
	if h.node == "" {
		return api.NewClient(h.socket), nil
	}
	return api.NewTLSClient(h.node, h.ca, h.cert, h.key)
}

// ask calls fn with a client and a context that ends after --timeout.
func (h *hactl) ask(ctx context.Context, fn func(context.Context, *api.Client) error) error {
	c, err := h.client()
	if err != nil {
		return err
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(ctx, h.timeout)
	defer cancel()
	return fn(ctx, c)
}

// status asks for one status.
func (h *hactl) status(ctx context.Context) (s api.Status, err error) {
	err = h.ask(ctx, func(ctx context.Context, c *api.Client) error {
		s, err = c.Status(ctx)
		return err
	})
	return s, err
}

// request makes an operator's request.
func (h *hactl) request(ctx context.Context, kind ha.RequestKind, node string, force bool) (api.RequestAnswer, error) {
	return h.requestBody(ctx, kind, api.RequestBody{Node: ha.NodeName(node), By: operator(), Force: force})
}

func (h *hactl) requestBody(ctx context.Context, kind ha.RequestKind, body api.RequestBody) (a api.RequestAnswer, err error) {
	err = h.ask(ctx, func(ctx context.Context, c *api.Client) error {
		a, err = c.Request(ctx, kind, body)
		return err
	})
	return a, err
}

// operator is the person at the keyboard as the environment names them; the connection proves the rest.
func operator() string {
	for _, name := range []string{"SUDO_USER", "USER", "LOGNAME"} {
		if u := os.Getenv(name); u != "" {
			return u
		}
	}
	return ""
}

// nodeArg is the one argument NODE of a command, completed by the names that the cluster knows.
func (h *hactl) nodeArg(cmd *cobra.Command) { h.nodeArgs(cmd, cobra.ExactArgs(1)) }

// nodeArgs is nodeArg with another rule how often it is given: at most once.
func (h *hactl) nodeArgs(cmd *cobra.Command, rule cobra.PositionalArgs) {
	cmd.Args = usageArgs(rule)
	cmd.ValidArgsFunction = func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		s, err := h.status(cmd.Context())
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		var names []string
		for _, n := range s.Nodes {
			names = append(names, string(n.Name)+"\t"+string(n.State))
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}
}

// findNode returns a node of a status.
func findNode(s api.Status, name string) (api.Node, bool) {
	for _, n := range s.Nodes {
		if string(n.Name) == name {
			return n, true
		}
	}
	return api.Node{}, false
}
