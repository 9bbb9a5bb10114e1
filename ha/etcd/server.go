package etcd

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/etcd/client/pkg/v3/transport"
	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"

	"bascule/ha"
)

// Sizes of the embedded server. The records of a large cluster are a few megabytes; these keep the whole data
// directory in the low hundreds, most of it the write-ahead log that etcd allocates at its first start.
const (
	quotaBytes      = 512 << 20
	keepRevisions   = "2000" // history kept for watches that were interrupted; compaction runs every 5 minutes
	snapshotCount   = 10_000
	snapshotCatchUp = 2_000
	maxWALFiles     = 2
)

// server is the embedded etcd member.
type server struct {
	etcd    *embed.Etcd
	down    atomic.Pointer[string] // why it stopped by itself
	closing chan struct{}          // closed when we stop it
	once    sync.Once              // for closing
	end     func()                 // closes everything that serves; works once
	trusts  []byte                 // the authorities (PEM) that it was started with
}

// startServer starts the member from an existing data directory, as an initial member of a new cluster, or, to join, as what the list
// has let in. It does not wait for quorum. etcd cannot be interrupted while it starts: when ctx ends first, it is closed as soon as it is up.
func startServer(ctx context.Context, cfg Config, own Voter, list []Member, join bool, lg *zap.Logger) (*server, error) {
	type result struct {
		etcd *embed.Etcd
		err  error
	}
	trusts, err := cfg.copyTrust()
	if err != nil {
		return nil, explainStart(cfg, err)
	}
	ec := serverConfig(cfg, own, lg)
	ec.InitialCluster = cfg.initialCluster(list, join)
	if join {
		ec.ClusterState = embed.ClusterStateFlagExisting
	}
	var started atomic.Pointer[embed.Etcd]
	ec.GRPCAdditionalServerOptions = surviveStop(&started)
	done := make(chan result, 1)
	go func() {
		defer func() {
			if p := recover(); p != nil { // etcd's Fatal: an unreadable data directory
				done <- result{err: fmt.Errorf("etcd gave up: %v", p)}
			}
		}()
		e, err := embed.StartEtcd(ec)
		done <- result{e, err}
	}()
	select {
	case r := <-done:
		if r.err != nil {
			return nil, explainStart(cfg, r.err)
		}
		started.Store(r.etcd)
		s := &server{etcd: r.etcd, closing: make(chan struct{}), end: sync.OnceFunc(r.etcd.Close), trusts: trusts}
		go s.watch(cfg)
		return s, nil
	case <-ctx.Done():
		go func() {
			if r := <-done; r.etcd != nil {
				r.etcd.Close()
			}
		}()
		return nil, fmt.Errorf("starting etcd in %s: %w: it did not come up in time; is another process using the data directory?", cfg.DataDir, ctx.Err())
	}
}

func serverConfig(cfg Config, own Voter, lg *zap.Logger) *embed.Config {
	c := embed.NewConfig()
	c.Name, c.Dir = string(cfg.Self), cfg.DataDir
	c.ListenPeerUrls = []url.URL{httpsURL(cfg.bind(), cfg.PeerPort)}
	c.ListenClientUrls = []url.URL{httpsURL(cfg.bind(), cfg.ClientPort)}
	c.AdvertisePeerUrls = []url.URL{httpsURL(own.Address, cfg.PeerPort)}
	c.AdvertiseClientUrls = []url.URL{httpsURL(own.Address, cfg.ClientPort)}
	c.InitialClusterToken = cfg.Token
	c.ClusterState = embed.ClusterStateFlagNew // ignored as soon as there is a write-ahead log

	info := transport.TLSInfo{CertFile: cfg.TLS.CertFile, KeyFile: cfg.TLS.KeyFile, TrustedCAFile: cfg.trusted(), ClientCertAuth: true}
	c.ClientTLSInfo = info
	// A member proves itself by a certificate of the cluster's CA. That its address is also the one that a connection
	// comes from cannot be demanded: nodes have several, and there may be a translation between.
	info.SkipClientSANVerify = true
	c.PeerTLSInfo = info

	c.TickMs = uint(cfg.Timing.EtcdHeartbeat / time.Millisecond)
	c.ElectionMs = uint(cfg.Timing.EtcdElection / time.Millisecond)
	c.PreVote, c.StrictReconfigCheck = true, true
	c.MaxTxnOps = ha.MaxTxnOps
	c.AutoCompactionMode, c.AutoCompactionRetention = embed.CompactorModeRevision, keepRevisions
	c.QuotaBackendBytes = quotaBytes
	c.SnapshotCount, c.SnapshotCatchUpEntries, c.MaxWalFiles = snapshotCount, snapshotCatchUp, maxWALFiles
	c.GRPCKeepAliveMinTime, c.GRPCKeepAliveInterval, c.GRPCKeepAliveTimeout = time.Second, 10*time.Second, 5*time.Second
	c.EnableGRPCGateway, c.EnablePprof = false, false
	c.UnsafeNoFsync = cfg.noSync
	c.ZapLoggerBuilder = embed.NewZapLoggerBuilder(lg)
	return c
}

// explainStart adds what the operator should do to the errors that have a usual cause.
func explainStart(cfg Config, err error) error {
	hint := "the log lines before this one say more"
	switch text := err.Error(); {
	case strings.Contains(text, "has already been bootstrapped"):
		hint = "the cluster knows this voter but its data directory is empty: hactl etcd replace lets it in anew"
	case strings.Contains(text, "address already in use"), strings.Contains(text, "cannot assign requested address"):
		hint = fmt.Sprintf("ports %d and %d of %s must be free and the address this machine's own", cfg.PeerPort, cfg.ClientPort, cfg.bind())
	case strings.Contains(text, "permission denied"):
		hint = "the daemon must be able to read its certificate and key and to write the data directory"
	case strings.Contains(text, "gave up"):
		hint = "the data directory cannot be used: if the other voters have quorum, move it away, start basculed again and let it in anew: hactl etcd replace"
	}
	return fmt.Errorf("starting etcd of %s in %s: %w: %s", cfg.Self, cfg.DataDir, err, hint)
}

// watch notes and reports a server that stops by itself.
func (s *server) watch(cfg Config) {
	var err error
	select {
	case <-s.closing:
		return
	case err = <-s.etcd.Err():
	case <-s.etcd.Server.StopNotify():
		select { // the reason follows
		case err = <-s.etcd.Err():
		case <-time.After(time.Second):
		}
	}
	select {
	case <-s.closing:
		return
	default:
	}
	if err == nil {
		err = errors.New("no reason given; the member may have been removed from the cluster")
	}
	why := err.Error() + "; restart the daemon"
	s.down.Store(&why)
	s.end() // a stopped member must not go on listening: it could only answer wrongly
	// Whether that is wrong, or its vote was given to another node while it was away, keepMember finds out and says.
	cfg.Log.WithError(err).Info("the embedded etcd server has stopped by itself; asking the others whether it is still one of them")
}

// close hands raft's leadership over and stops. etcd waits some seconds for its clients' watches to end: when ctx ends
// first, the rest goes on in the background, which is harmless because the leadership is gone by then.
func (s *server) close(ctx context.Context) error {
	s.once.Do(func() { close(s.closing) })
	done := make(chan struct{})
	go func() {
		defer close(done)
		if s.down.Load() == nil {
			_ = s.etcd.Server.TryTransferLeadershipOnShutdown() // etcd logs the failure; the others elect one then
		}
		s.end()
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("stopping etcd: %w: it ends with the process", ctx.Err())
	}
}

// hardStop stops without a word to anybody, as a crash would.
func (s *server) hardStop() {
	s.once.Do(func() { close(s.closing) })
	s.etcd.Server.HardStop()
	s.end()
}
