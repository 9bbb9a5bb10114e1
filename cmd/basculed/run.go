package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/sirupsen/logrus"
	"golang.org/x/sync/errgroup"

	"bascule/config"
	"bascule/ha/api"
	"bascule/ha/setup/doctor/gather"
)

const (
	leaveTimeout     = 10 * time.Second
	privilegesRepeat = 30 * time.Second
)

// runAgent is the daemon: open, run, and on SIGTERM leave in order.
func runAgent(ctx context.Context, file string) error {
	cfg, err := config.Load(file)
	if err != nil {
		return err
	}
	h, err := readHost()
	if err != nil {
		return err
	}
	out := newAsyncWriter(os.Stderr)
	defer out.close()
	log := newLog(cfg.Log, out, string(cfg.Node))
	for _, w := range cfg.Warnings() {
		log.Warn(w.String())
	}
	p, err := assemble(ctx, cfg, h, log)
	if err != nil {
		return err
	}
	stopped, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	err = p.run(ctx, stopped)
	return errors.Join(err, p.close())
}

// run serves until stopped ends, then leaves in order; it returns early when a part fails.
func (p *parts) run(ctx, stopped context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	g, ctx := errgroup.WithContext(ctx)
	p.store.StartView(ctx, p.agent.ViewChanged)
	g.Go(func() error { return p.agent.Run(ctx) })
	g.Go(func() error { p.alerts.Run(ctx); return nil })
	g.Go(func() error { p.journal.Run(ctx); return nil })
	g.Go(func() error { p.watchCertificate(ctx); return nil })
	g.Go(func() error { p.watchGossipKeys(ctx); return nil })
	if p.driver != nil {
		g.Go(func() error { p.watchPrivileges(ctx); return nil })
		g.Go(func() error { p.watchJoins(ctx); return nil })
	}
	if err := p.serve(ctx, g); err != nil {
		cancel()
		return errors.Join(err, g.Wait())
	}
	_, _ = daemon.SdNotify(false, daemon.SdNotifyReady)
	p.log.WithFields(logrus.Fields{"version": version, "role": string(p.cfg.Role), "timing": p.cfg.Timing().Profile}).Info("basculed is up")
	g.Go(func() error {
		defer cancel()
		select {
		case <-ctx.Done():
			return nil
		case <-stopped.Done():
		}
		_, _ = daemon.SdNotify(false, daemon.SdNotifyStopping)
		leave, end := context.WithTimeout(context.WithoutCancel(ctx), leaveTimeout)
		defer end()
		if err := p.agent.Leave(leave); err != nil {
			p.log.Error(err.Error())
			return err
		}
		return nil
	})
	return g.Wait()
}

// serve opens the API on its unix socket and, with mutual TLS, on the network.
func (p *parts) serve(ctx context.Context, g *errgroup.Group) error {
	look := gatherer(p.cfg, p.host, p.driver, p.guard)
	look.Version, look.Ping, look.Marks = version, p.gossip.Ping, marksOf(p.looker)
	srv := api.NewServer(backend{Agent: p.agent, cfg: p.cfg, store: p.store, gossip: p.gossip, keeper: p.keeper, log: p.log, tester: p.tester, doctor: gather.New(look)}, p.log.WithField("part", "api"))
	if err := srv.Trusting(p.cfg.TLS.CAFile); err != nil {
		return err
	}
	unix, err := api.ListenUnix(p.cfg.API.Socket)
	if err != nil {
		return err
	}
	tlsConf, err := api.ServerTLS(p.cfg.TLS.CAFile, p.cfg.TLS.CertFile, p.cfg.TLS.KeyFile)
	if err != nil {
		return err
	}
	tcp, err := api.ListenTLS(net.JoinHostPort(p.cfg.BindAddress, strconv.Itoa(p.cfg.API.Port)), tlsConf)
	if err != nil {
		return err
	}
	for _, l := range []net.Listener{unix, tcp} {
		g.Go(func() error { return srv.Serve(ctx, l) })
	}
	return nil
}

// watchPrivileges looks again and again whether the token may do what is needed: Proxmox answers a weak token with shorter lists, and one
// that could do everything yesterday may have lost a role.
func (p *parts) watchPrivileges(ctx context.Context) {
	for {
		c, cancel := context.WithTimeout(ctx, privilegesRepeat)
		err := p.driver.CheckPrivileges(c)
		cancel()
		if ctx.Err() != nil {
			return
		}
		problem := ""
		if err != nil {
			problem = err.Error()
		}
		p.agent.Problem("token", problem)
		select {
		case <-ctx.Done():
			return
		case <-time.After(privilegesRepeat):
		}
	}
}

// close ends what is left. The store goes last and hands raft's leadership over.
func (p *parts) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), leaveTimeout)
	defer cancel()
	err := p.gossip.Close()
	if p.guard != nil {
		err = errors.Join(err, p.guard.Close())
	}
	if p.driver != nil {
		p.driver.Close()
	}
	return errors.Join(err, p.store.Close(ctx))
}

// checkConfig is `basculed check-config`.
func checkConfig(w io.Writer, file string) error {
	cfg, err := config.Load(file)
	if err != nil {
		return err
	}
	if _, _, err := fencePlans(cfg); err != nil {
		return err
	}
	for _, x := range cfg.Warnings() {
		fmt.Fprintln(w, x.String())
	}
	fmt.Fprintln(w, file+": well")
	return nil
}
