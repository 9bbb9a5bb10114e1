package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/sirupsen/logrus"

	"bascule/config"
	"bascule/fencing"
	"bascule/fencing/methods"
	"bascule/ha/agent"
	"bascule/ha/alert"
	"bascule/ha/etcd"
	"bascule/ha/gossip"
	"bascule/ha/guard"
	recorder "bascule/ha/journal"
	"bascule/ha/leader"
	"bascule/ha/node"
	"bascule/ha/placement"
	"bascule/ha/proxmox"
	"bascule/ha/setup/pki"
	"bascule/ha/storage"
)

// hostReserve is memory that guests never get: Proxmox, the kernel and Bascule itself.
const hostReserve = 1 << 30

// parts are the running pieces of one daemon.
type parts struct {
	cfg    *config.Config
	host   host
	log    logrus.FieldLogger
	store  *etcd.Store
	gossip *gossip.Gossip
	guard  *guard.Client
	driver *proxmox.Driver
	alerts *alert.Notifier
	agent  *agent.Agent
	joiner *fencing.Joiner
	tester fenceTester
	looker *storage.Looker // nil on a witness
	keeper *pki.Keeper     // of this member's certificate

	journal *recorder.Journal
}

// assemble opens everything. Nothing in it waits for other nodes.
func assemble(ctx context.Context, cfg *config.Config, h host, log logrus.FieldLogger) (*parts, error) {
	p := &parts{cfg: cfg, host: h, log: log}
	if err := os.MkdirAll(cfg.RunDir, 0o750); err != nil {
		return nil, fmt.Errorf("run_dir: %w", err)
	}
	specs, plans, err := fencePlans(cfg)
	if err != nil {
		return nil, err
	}
	p.joiner = fencing.NewJoiner(specs, methods.All(), cfg.Node, h.incarnation)
	exec, err := fencing.NewExecutor(specs, methods.All(), fencing.Child{Path: "/proc/self/exe", Args: []string{"basculed", fenceDeviceName}, Stderr: os.Stderr}.Switch, bootNow)
	if err != nil {
		return nil, err
	}
	p.tester = newFenceTester(specs, plans, cfg.Timing(), exec)
	if p.alerts, err = openAlerts(cfg, log); err != nil {
		return nil, err
	}
	p.keeper = newKeeper(cfg)
	p.renewFirst(ctx)
	if p.store, err = openStore(ctx, cfg, log); err != nil {
		return nil, err
	}
	p.journal = recorder.New(recorder.Config{Dir: filepath.Join(cfg.DataDir, "journal"), Version: version, Node: cfg.Node, Boot: h.incarnation,
		Log: log.WithField("part", "journal")})
	ac := agent.Config{
		Node: node.Config{Self: cfg.Node, Incarnation: h.incarnation, Timing: cfg.Timing(), MaxRestart: cfg.Limits.MaxRestart,
			ParallelStarts: cfg.Limits.ParallelStarts, Witness: cfg.Role == config.RoleWitness, Plans: plans},
		Leader: leader.Leader{Placer: placement.Placer{}, Options: leader.Options{Members: cfg.Members, Plans: plans,
			Spares: memberNames(cfg.Spares()), MaxRelocate: cfg.Limits.MaxRelocate, ParallelMoves: cfg.Limits.ParallelMoves, StayOnLoss: !cfg.Recovery.LeaveLostStorage, HostReserve: hostReserve,
			FenceLimits: fenceLimits(cfg)}},
		Version: version, SystemUUID: h.systemUUID, TrustDriver: func(d string) bool { return d != "" && (d != "softdog" || cfg.Guard.TrustSoftdog) },
		LeaseFile: filepath.Join(cfg.RunDir, "lease.json"), SeenFile: filepath.Join(cfg.DataDir, "seen.json"),
		OnbootFile: filepath.Join(cfg.DataDir, onbootName), GuestsFile: filepath.Join(cfg.RunDir, "guests.json"), Now: bootNow,
		Store: storePort{p.store}, Executor: exec, Notifier: p.alerts, Recorder: p.journal, Clients: p.joiner.Clients, Log: log, Alive: newPulse(),
	}
	if !cfg.External() {
		ac.Voters = p.store
	}
	if !ac.Node.Witness {
		if p.driver, err = openProxmox(cfg, h, log); err != nil {
			return nil, errors.Join(err, p.store.Close(ctx))
		}
		p.guard = guard.NewClient(cfg.Guard.Socket)
		ac.Proxmox, ac.Guard = proxmoxPort{p.driver}, guardPort{p.guard}
		ac.Processes = processPort{&guard.ProcFS{Root: h.root, Filter: h.own}}
		p.looker = openStorages(cfg)
		ac.Storages = newStorages(p.looker, h)
	}
	if err := p.openGossip(&ac, h, log); err != nil {
		return nil, errors.Join(err, p.store.Close(ctx))
	}
	return p, nil
}

// openGossip starts gossip and the agent, which need each other: gossip wakes the agent, the agent reads gossip.
func (p *parts) openGossip(ac *agent.Config, h host, log logrus.FieldLogger) error {
	keys, err := gossip.LoadKeyring(p.cfg.Gossip.KeyringFile)
	if err != nil {
		return err
	}
	var peers []string
	for _, m := range p.cfg.Members {
		if m.Name != p.cfg.Node {
			peers = append(peers, net.JoinHostPort(m.Address, strconv.Itoa(p.cfg.Gossip.Port)))
		}
	}
	var late lateAgent
	p.gossip, err = gossip.Start(gossip.Config{Self: p.cfg.Node, BindAddress: p.cfg.BindAddress, AdvertiseAddress: p.cfg.Self().Address, Port: p.cfg.Gossip.Port,
		Peers: peers, Keys: keys, Timing: p.cfg.Timing(), Log: log.WithField("part", "gossip"),
		Meta: func() gossip.Meta {
			return gossip.Meta{Incarnation: h.incarnation, Leaving: late.leaving(), Version: version}
		},
		Changed: late.wake, Receive: late.receive})
	if err != nil {
		return err
	}
	ac.Gossip = p.gossip
	p.agent = agent.New(*ac)
	late.set(p.agent)
	return nil
}

func openStore(ctx context.Context, cfg *config.Config, log logrus.FieldLogger) (*etcd.Store, error) {
	return etcd.Open(ctx, storeConfig(cfg, log))
}

func storeConfig(cfg *config.Config, log logrus.FieldLogger) etcd.Config {
	ec := etcd.Config{Self: cfg.Node, Cluster: cfg.Cluster, Timing: cfg.Timing(), Log: log.WithField("part", "etcd")}
	if cfg.External() {
		ec.External = &etcd.External{Endpoints: cfg.Etcd.Endpoints, User: cfg.Etcd.User, PasswordFile: cfg.Etcd.PasswordFile}
		ec.TLS = etcd.TLS{CAFile: cfg.Etcd.CAFile, CertFile: cfg.Etcd.CertFile, KeyFile: cfg.Etcd.KeyFile}
		return ec
	}
	for _, m := range cfg.Voters() {
		ec.Voters = append(ec.Voters, etcd.Voter{Name: m.Name, Address: m.Address})
	}
	for _, m := range cfg.Spares() {
		ec.Voters = append(ec.Voters, etcd.Voter{Name: m.Name, Address: m.Address, Spare: true})
	}
	ec.Initial = cfg.Etcd.InitialVoters
	ec.DataDir, ec.Token = filepath.Join(cfg.DataDir, "etcd"), "bascule-"+cfg.Cluster
	ec.BindAddress, ec.PeerPort, ec.ClientPort = cfg.BindAddress, cfg.Etcd.PeerPort, cfg.Etcd.ClientPort
	ec.TLS = etcd.TLS{CAFile: cfg.TLS.CAFile, CertFile: cfg.TLS.CertFile, KeyFile: cfg.TLS.KeyFile}
	return ec
}

func openProxmox(cfg *config.Config, h host, log logrus.FieldLogger) (*proxmox.Driver, error) {
	secret, err := os.ReadFile(cfg.Proxmox.TokenFile)
	if err != nil {
		return nil, fmt.Errorf("proxmox.token_file: %w", err)
	}
	return proxmox.New(proxmox.Config{Node: cfg.Node, URL: cfg.Proxmox.URL, ServerName: cfg.Proxmox.ServerName, CAFile: cfg.Proxmox.CAFile,
		TokenID: cfg.Proxmox.TokenID, TokenSecret: strings.TrimSpace(string(secret)), Tree: openTree(cfg.Proxmox), HostRoot: h.root,
		CallTimeout: cfg.Proxmox.CallTimeout, Protect: cfg.Protect.Choice(), Log: log.WithField("part", "proxmox")})
}

func openAlerts(cfg *config.Config, log logrus.FieldLogger) (*alert.Notifier, error) {
	ac := alert.Config{Cluster: cfg.Cluster, Command: cfg.Alerts.Command, Timeout: 10 * time.Second, Log: log.WithField("part", "alert")}
	if f := cfg.Alerts.WebhookURLFile; f != "" {
		var err error
		if ac.WebhookURL, err = alert.ReadWebhookURL(f); err != nil {
			return nil, err
		}
	}
	return alert.New(ac)
}
