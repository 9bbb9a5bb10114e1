package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"bascule/config"
	"bascule/ha"
	"bascule/ha/api"
	"bascule/ha/setup"
	"bascule/ha/setup/pki"
)

func newRotateAuthority(h *hactl) *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "rotate-authority",
		Short: "Replace the cluster's certificate authority; certificates of the old one are refused then",
		Long: "rotate-authority makes a new authority and walks all members three times: first each trusts the new one as well, then each gets a certificate\n" +
			"of it, then the old one goes. A step begins only when every member has done the one before, so all members must answer; one that is gone for\n" +
			"good is taken out first (hactl remove). The members of the store are restarted one after the other for it, the daemons are not: no lease is\n" +
			"lost, no guest notices. Interrupted, it harms nothing: run it again, on any node, and it goes on where it was.\n\n" +
			"It is the way to shut out a node that was stolen, or removed with a disk that is not trusted any more, and to replace an authority that ends.\n" +
			"Run it as root on a Proxmox node.",
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := config.Load(file)
			if err != nil {
				return err
			}
			return h.rotateAuthority(cmd.Context(), cfg, time.Now)
		},
	}
	cmd.Flags().StringVar(&file, "config", config.DefaultPath, "basculed's configuration `FILE`")
	return cmd
}

const (
	busyLimit = 2 * time.Minute // how long a member whose store's others are not well is asked again
	busyPause = 2 * time.Second
	lockLimit = 10 * time.Second
)

// handover replaces the authority.
type handover struct {
	*hactl
	cfg  *config.Config
	site pki.Shared // as /etc/pve has it
}

func (h *hactl) rotateAuthority(ctx context.Context, cfg *config.Config, now func() time.Time) error {
	r := &handover{hactl: h, cfg: cfg}
	if cfg.Role == config.RoleWitness {
		return usagef("this is a witness: run it on a Proxmox node, whose /etc/pve has the authority")
	}
	var err error
	if r.site, err = pki.LoadShared(cfg.Proxmox.Root); err != nil {
		return fmt.Errorf("%w: nothing was changed: run this as root on a Proxmox node of a site that hactl init has set up", err)
	}
	stage, err := r.site.Stage()
	if err != nil {
		return err
	}
	if err := r.look(ctx, stage); err != nil {
		return err
	}
	again := stage != pki.Settled
	if !again {
		next, err := r.site.Begin(cfg.Cluster, now())
		if err != nil {
			return err
		}
		if err := r.share(ctx, next); err != nil {
			return err
		}
		stage = pki.Trusting
	} else {
		fmt.Fprintln(h.out, "a rotation was begun and is not finished: it goes on")
	}
	if err := r.walk(ctx, stage); err != nil || !again {
		return err
	}
	_, err = fmt.Fprintln(h.out, "if a member was removed after this rotation was begun, it may have got a certificate of the new authority: to shut it out, run it once more")
	return err
}

// walk does the stages from one on. /etc/pve is always a stage ahead of the members, or in step: nobody can be asked for what it does not know.
func (r *handover) walk(ctx context.Context, from pki.Stage) error {
	fresh := r.site.At(pki.Settled).Trust[0]
	for _, s := range []struct {
		stage pki.Stage
		what  string
	}{
		{pki.Trusting, "trust the new authority too"},
		{pki.Using, "use certificates of the new authority"},
		{pki.Dropping, "trust the new authority alone"},
	} {
		if s.stage < from {
			continue
		}
		if s.stage > pki.Trusting {
			if err := r.share(ctx, r.site.At(s.stage)); err != nil {
				return err
			}
		}
		if err := r.step(ctx, s.stage, s.what); err != nil {
			return err
		}
	}
	if err := r.share(ctx, r.site.At(pki.Settled)); err != nil { // its key signs nothing any more
		return err
	}
	_, err := fmt.Fprintf(r.out, "the cluster has a new authority (%s) until %s; certificates of the old one are refused\n",
		r.site.Trust.Fingerprints()[0], fresh.NotAfter.UTC().Format(time.DateOnly))
	return err
}

// look makes sure, before anything changes, that every member answers and stands where it should.
func (r *handover) look(ctx context.Context, stage pki.Stage) error {
	still := "nothing was changed"
	if stage != pki.Settled {
		still = "the rotation waits, and the old authority stays trusted meanwhile"
	}
	site := r.site.Trust.Fingerprints()
	for _, m := range r.cfg.Members {
		got, err := r.each(ctx, m, func(ctx context.Context, c *api.Client) (api.Authority, error) { return c.Authority(ctx) })
		if err != nil {
			return fmt.Errorf("%s: every member must take part, and %s does not: %w: bring it back, or take it out for good (hactl remove %s), then run this again", still, m.Name, err, m.Name)
		}
		if !slices.ContainsFunc(got.Trusted, func(t string) bool { return slices.Contains(site, t) }) || stage == pki.Settled && !slices.Equal(got.Trusted, site) {
			return fmt.Errorf("%s: %s trusts the authorities %v, and /etc/pve has %v: hactl join --update there puts that right", still, m.Name, got.Trusted, site)
		}
	}
	return nil
}

// share writes what /etc/pve is to have. The site must not change under it: a member that came in between has not been walked over.
func (r *handover) share(ctx context.Context, next pki.Shared) error {
	l := setup.Layout{PVE: r.cfg.Proxmox.Root}
	unlock, err := setup.Lock(ctx, l, lockLimit)
	if err != nil {
		return err
	}
	defer unlock()
	if err := sameMembers(r.cfg, "rotate-authority"); err != nil {
		return err
	}
	if err := next.Write(r.cfg.Proxmox.Root); err != nil {
		return fmt.Errorf("%w Then run hactl keys rotate-authority again", err)
	}
	r.site = next
	return nil
}

// step brings every member to a stage, this machine's own last: it is what the others are spoken to from.
func (r *handover) step(ctx context.Context, stage pki.Stage, what string) error {
	body := api.AuthorityBody{PEM: string(r.site.Trust.PEM()), Operator: operator()}
	members := slices.Clone(r.cfg.Members)
	slices.SortStableFunc(members, func(a, b ha.Member) int { return own(a, r.cfg) - own(b, r.cfg) })
	for _, m := range members {
		got, err := r.patiently(ctx, m, body)
		if err == nil {
			err = r.reached(got, stage)
		}
		if err != nil {
			return fmt.Errorf("the rotation stopped while the members began to %s: %s: %w: all of them still trust each other; run hactl keys rotate-authority again, it goes on from here (a member that is gone for good is taken out first: hactl remove %s)",
				what, m.Name, err, m.Name)
		}
	}
	_, err := fmt.Fprintf(r.out, "all %d members %s\n", len(members), what)
	return err
}

func own(m ha.Member, cfg *config.Config) int {
	if m.Name == cfg.Node {
		return 1
	}
	return 0
}

// reached says what a member lacks at a stage; the next one must not begin before all have everything.
func (r *handover) reached(got api.Authority, stage pki.Stage) error {
	want := r.site.Trust.Fingerprints()
	if !slices.Equal(got.Trusted, want) {
		return fmt.Errorf("it trusts %v and was given %v", got.Trusted, want)
	}
	if len(got.Store) > 0 && !slices.Equal(slices.Sorted(slices.Values(got.Store)), slices.Sorted(slices.Values(want))) {
		return fmt.Errorf("its member of the store still trusts %v", got.Store)
	}
	if stage >= pki.Using && got.Signed != want[0] {
		return fmt.Errorf("its certificate is of %s", got.Signed)
	}
	return nil
}

// patiently asks again while the store would not stand the restart of this member's part: one of the others has just been restarted.
func (r *handover) patiently(ctx context.Context, m ha.Member, body api.AuthorityBody) (api.Authority, error) {
	until := time.Now().Add(busyLimit)
	for {
		got, err := r.each(ctx, m, func(ctx context.Context, c *api.Client) (api.Authority, error) { return c.SetAuthority(ctx, body) })
		var refused *api.Error
		if !errors.As(err, &refused) || refused.Code != http.StatusServiceUnavailable || time.Now().After(until) {
			return got, err
		}
		select {
		case <-ctx.Done():
			return got, err
		case <-time.After(busyPause):
		}
	}
}

// each asks a member over a connection of its own: what both ends show changes under way.
func (r *handover) each(ctx context.Context, m ha.Member, call func(context.Context, *api.Client) (api.Authority, error)) (api.Authority, error) {
	c, err := memberClient(r.cfg, m)
	if err != nil {
		return api.Authority{}, err
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(ctx, api.AuthorityLimit+r.timeout)
	defer cancel()
	return call(ctx, c)
}
