package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"bascule/ha"
	"bascule/ha/setup"
	"bascule/ha/setup/discover"
)

// setupRun is one run of init, join, remove or reset: the machine, where things lie on it, the flags that they share.
type setupRun struct {
	h       *hactl
	machine setup.Machine
	layout  setup.Layout
	root    string
	yes     bool
	dry     bool

	answers   setup.Answers
	bmcs      []string
	addresses []string
}

// commonFlags are the flags of all commands that change a site.
func (r *setupRun) commonFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.BoolVarP(&r.yes, "yes", "y", false, "ask nothing: take the defaults for what no flag says")
	f.BoolVar(&r.dry, "dry-run", false, "show what would be done, and do nothing")
	f.StringVar(&r.root, "root", "/", "look for /etc, /dev, /sys … and write below `DIR`")
	_ = f.MarkHidden("root") // labs have their nodes in directories
}

// deviceFlags are those of init and join.
func (r *setupRun) deviceFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringArrayVar(&r.bmcs, "bmc", nil, "a node's BMC, `[NODE=]METHOD:ADDRESS,user=U,password-file=F` (METHOD ipmi or redfish, no NODE: this one); may be repeated")
	f.StringArrayVar(&r.addresses, "address", nil, "`NODE=IP` in the place of corosync's first address; may be repeated")
	f.BoolVar(&r.answers.TrustSoftdog, "trust-softdog", false, "let a software watchdog count as proof; it does not survive a hung kernel")
}

// begin finds out where things lie.
func (r *setupRun) begin() error {
	if os.Geteuid() != 0 && r.root == "/" {
		return usagef("this changes the node: run it as root")
	}
	r.layout = setup.Standard
	if r.root != "/" {
		at := func(p string) string { return filepath.Join(r.root, p) }
		r.layout = setup.Layout{PVE: at(r.layout.PVE), Etc: at(r.layout.Etc), Run: at(r.layout.Run), Data: at(r.layout.Data)}
		if !r.h.socketGiven {
			r.h.socket = at("/run/bascule/api.sock")
		}
	}
	r.machine = setup.Machine{PVE: r.layout.PVE}
	r.answers.Addresses = map[ha.NodeName]string{}
	for _, a := range r.addresses {
		node, ip, ok := strings.Cut(a, "=")
		if !ok || net.ParseIP(ip) == nil {
			return usagef("--address %s: write NODE=IP", a)
		}
		r.answers.Addresses[ha.NodeName(node)] = ip
	}
	return nil
}

// facts reads what this node shows.
func (r *setupRun) facts(ctx context.Context) discover.Facts {
	f := discover.Read(os.DirFS(r.root))
	f.BMC = discover.ReadBMC(ctx, r.machine, f.BMC)
	return f
}

// existing reads a file, or nothing where there is none.
func (r *setupRun) existing(name string) ([]byte, error) {
	data, err := r.machine.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return data, err
}

// locked does something while no other node changes the site.
func (r *setupRun) locked(ctx context.Context, do func() error) error {
	unlock, err := setup.Lock(ctx, r.layout, 10*time.Second)
	if err != nil {
		return err
	}
	defer unlock()
	return do()
}

// apply carries steps out and tells each. A daemon that ran already is restarted when its configuration has changed; no guest notices.
func (r *setupRun) apply(ctx context.Context, steps []setup.Step) error {
	var changed, ran bool
	err := setup.Apply(ctx, r.machine, steps, func(s setup.Step, o setup.Outcome) {
		r.tell(r.h.out.wrapped(fmt.Sprintf("%-5s ", o), s.Title()))
		switch s := s.(type) {
		case setup.OwnConfig:
			changed = o == setup.Made
		case setup.Unit:
			ran = ran || s.Name == setup.UnitDaemon && o == setup.Kept
		}
	})
	if err == nil && changed && ran {
		r.tell("done  restart basculed with its new configuration\n")
		err = r.restart(ctx)
	}
	return err
}

// tell prints progress, where the output is text.
func (r *setupRun) tell(text string) { io.WriteString(r.h.out, text) }

// agree shows the plan and asks whether to do it. false: a dry run, which is at its end.
func (r *setupRun) agree(ctx context.Context, a *asker, p setup.Plan) (bool, error) {
	r.tell(p.Text())
	if r.dry {
		open, err := setup.Open(ctx, r.machine, append(append([]setup.Step{}, p.Site...), p.Own...))
		if err != nil {
			return false, err
		}
		r.tell(fmt.Sprintf("\n%s:\n%s\ndry run: %d steps are open, nothing was done\n", r.layout.Common(), p.Common, len(open)))
		return false, nil
	}
	return true, a.agree(ctx, "Do it?")
}

// resolve is the IP address of a host.
func resolve(ctx context.Context, host string) (string, error) {
	if ip := net.ParseIP(host); ip != nil {
		return ip.String(), nil
	}
	all, err := net.DefaultResolver.LookupIP(ctx, "ip", host)
	if err != nil || len(all) == 0 {
		return "", fmt.Errorf("the address of %s is not found: give its IP address instead: %w", host, err)
	}
	return all[0].String(), nil
}
