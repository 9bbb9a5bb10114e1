package etcd

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials"

	"bascule/ha"
)

// Times of one connection.
const (
	connectLimit   = time.Second            // one attempt to connect, without TLS
	shakeLimit     = 10 * time.Second       // with it: a busy machine takes its time, and to begin anew would cost both ends more of it
	connectFirst   = 100 * time.Millisecond // pause after the first failed attempt
	connectSlowest = time.Second            // longest pause
	// gRPC allows no shorter pings than 10 s. What stalls earlier is noticed by the calls, see failed.
	pingEvery   = 10 * time.Second
	pingTimeout = 2 * time.Second
	stallLimit  = 2 * time.Second // calls unanswered for so long: the connection is dropped and made anew
	badFirst    = time.Second     // how long an endpoint that failed is asked last; doubles up to badLongest
	badLongest  = 15 * time.Second
)

// endpoint is one member's client port with a connection of its own, so that a dead member costs the others nothing.
type endpoint struct {
	name    ha.NodeName
	address string // host:port as configured
	client  *clientv3.Client

	mu       sync.Mutex
	conns    map[net.Conn]struct{}
	silent   time.Time // since when calls stay without any answer; zero: they do not
	badUntil time.Time // asked last until then
	badFor   time.Duration
}

// newEndpoint prepares the connection; nothing is dialled yet.
func newEndpoint(at place, tc credentials.TransportCredentials, x *External, cluster *identity, lg *zap.Logger) (*endpoint, error) {
	e := &endpoint{name: at.name, address: at.address, conns: map[net.Conn]struct{}{}}
	dialer := func(ctx context.Context, _ string) (net.Conn, error) {
		d := net.Dialer{Timeout: connectLimit}
		c, err := d.DialContext(ctx, "tcp", at.dial)
		if err != nil {
			return nil, err
		}
		return e.track(c), nil
	}
	var err error
	e.client, err = clientv3.New(clientv3.Config{
		Endpoints: []string{"https://" + e.address}, Logger: lg,
		DialKeepAliveTime: pingEvery, DialKeepAliveTimeout: pingTimeout, PermitWithoutStream: true,
		MaxUnaryRetries: 1, // the pool decides what may be sent again, and where
		DialOptions: append(callOptions(newLogin(x), cluster),
			grpc.WithTransportCredentials(tc),
			grpc.WithContextDialer(dialer),
			grpc.WithConnectParams(grpc.ConnectParams{
				Backoff:           backoff.Config{BaseDelay: connectFirst, Multiplier: 1.6, Jitter: 0.2, MaxDelay: connectSlowest},
				MinConnectTimeout: shakeLimit,
			}),
		),
	})
	if err != nil {
		return nil, fmt.Errorf("etcd client for %s: %w", e.address, err)
	}
	return e, nil
}

// callOptions makes sure that every call has a session, where one is needed, and every answer comes from the same cluster.
func callOptions(l *login, cluster *identity) []grpc.DialOption {
	same := func(ctx context.Context, method string, req, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
		if err := invoke(ctx, method, req, reply, conn, opts...); err != nil {
			return err
		}
		return cluster.checkReply(reply, time.Now())
	}
	if l == nil {
		return []grpc.DialOption{grpc.WithChainUnaryInterceptor(same)}
	}
	return []grpc.DialOption{grpc.WithChainUnaryInterceptor(l.unary, same), grpc.WithChainStreamInterceptor(l.stream)}
}

func (e *endpoint) conn() *grpc.ClientConn { return e.client.ActiveConnection() }

func (e *endpoint) ready() bool { return e.conn().GetState() == connectivity.Ready }

// awaitReady connects and waits; false when ctx ended first.
func (e *endpoint) awaitReady(ctx context.Context) bool {
	for {
		state := e.conn().GetState()
		if state == connectivity.Ready {
			return true
		}
		e.conn().Connect()
		if !e.conn().WaitForStateChange(ctx, state) {
			return false
		}
	}
}

// good notes an answer.
func (e *endpoint) good() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.silent, e.badUntil, e.badFor = time.Time{}, time.Time{}, 0
}

// failed notes that a call brought nothing; silent is since when it had waited without even an error, zero if there was
// one. An endpoint that stays silent is on a connection whose other end is gone without a word: it is dropped, so
// that a new one can be made.
func (e *endpoint) failed(silent time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := time.Now()
	if now.After(e.badUntil) { // several calls failing together count once
		e.badFor = min(max(2*e.badFor, badFirst), badLongest)
		e.badUntil = now.Add(e.badFor)
	}
	if silent.IsZero() || e.silent.IsZero() || silent.Before(e.silent) {
		e.silent = silent
	}
	if !e.silent.IsZero() && now.Sub(e.silent) >= stallLimit {
		e.silent = time.Time{}
		for c := range e.conns {
			go c.Close() // it takes the lock
		}
	}
}

// bad says whether it should be asked last now.
func (e *endpoint) bad(now time.Time) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return now.Before(e.badUntil)
}

// track remembers an open connection until it is closed.
func (e *endpoint) track(c net.Conn) net.Conn {
	t := &trackedConn{Conn: c, owner: e}
	e.mu.Lock()
	e.conns[t] = struct{}{}
	e.mu.Unlock()
	return t
}

type trackedConn struct {
	net.Conn
	owner *endpoint
}

// Close forgets the connection and closes it.
func (t *trackedConn) Close() error {
	t.owner.mu.Lock()
	delete(t.owner.conns, t)
	t.owner.mu.Unlock()
	return t.Conn.Close()
}
