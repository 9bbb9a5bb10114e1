package guard

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"bascule/ha"
	"bascule/ha/node"
)

// ErrRefused is wrapped by errors that carry the guard's own refusal; everything else means that no answer came and the
// request may or may not have taken effect.
var ErrRefused = errors.New("the guard refused")

const (
	callLimit     = time.Second                        // hello, permit, status
	watchdogLimit = answerLimit + 500*time.Millisecond // arm, disarm: the watchdog has to answer
)

// Client is the agent's end of the guard's socket. Its methods may be called at the same time; permits take effect
// in the order of the calls, and one that was overtaken is refused. It connects when it needs to.
type Client struct {
	socket string
	turn   chan struct{} // holds one token: whoever has it owns conn
	conn   net.Conn
	in     *bufio.Reader

	mu   sync.Mutex
	last ha.Instant
}

// NewClient returns a client for the guard at this socket; nothing is connected yet.
func NewClient(socket string) *Client {
	return &Client{socket: socket, turn: make(chan struct{}, 1)}
}

// Dial is NewClient and a first exchange.
func Dial(ctx context.Context, socket string) (*Client, Status, error) {
	c := NewClient(socket)
	st, err := c.call(ctx, callLimit, request{Op: opHello})
	return c, st, err
}

// Permit renews the permit and replaces the guest list. Only when it returns nil the deadline in the status is in
// force and the guests are known to the guard, across its restarts too. Sent is filled in.
func (c *Client) Permit(ctx context.Context, p node.GuardPermit) (Status, error) {
	p.Sent = c.stamp()
	return c.call(ctx, callLimit, request{Op: opPermit, Permit: &p})
}

// End says that the permit ended now, before its deadline. Permits sent before it count no more.
func (c *Client) End(ctx context.Context) (Status, error) {
	return c.call(ctx, callLimit, request{Op: opEnd, End: &node.GuardEnd{Sent: c.stamp()}})
}

// Arm asks for an armed watchdog and returns nil when it is armed.
func (c *Client) Arm(ctx context.Context) (Status, error) {
	return c.call(ctx, watchdogLimit, request{Op: opArm})
}

// Disarm is the orderly stop and returns nil when the watchdog is disarmed. The caller has committed `disarmed` before.
func (c *Client) Disarm(ctx context.Context) (Status, error) {
	return c.call(ctx, watchdogLimit, request{Op: opDisarm, Disarm: &node.GuardDisarm{Sent: c.stamp()}})
}

// Obey says whether a leader may count on messages in this node's slots; when it returns nil the guard keeps to it, across its restarts
// too. Before saying that nobody may, the caller has committed so.
func (c *Client) Obey(ctx context.Context, obey bool) (Status, error) {
	return c.call(ctx, callLimit, request{Op: opObey, Obey: &node.GuardObey{Obey: obey, Sent: c.stamp()}})
}

// Status asks how the guard is.
func (c *Client) Status(ctx context.Context) (Status, error) {
	return c.call(ctx, callLimit, request{Op: opStatus})
}

// Close ends the connection; the guard goes on.
func (c *Client) Close() error {
	c.turn <- struct{}{}
	defer func() { <-c.turn }()
	return c.drop()
}

// stamp is the time of sending, strictly growing: across restarts of the agent too, because it is this boot's clock.
func (c *Client) stamp() ha.Instant {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last = max(Boottime(), c.last+1)
	return c.last
}

func (c *Client) call(ctx context.Context, limit time.Duration, r request) (Status, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	select {
	case c.turn <- struct{}{}:
		defer func() { <-c.turn }()
	case <-ctx.Done():
		return Status{}, c.failed(r, ctx.Err())
	}
	line, err := json.Marshal(r)
	if err != nil {
		return Status{}, c.failed(r, err)
	}
	old := c.conn != nil
	a, err := c.exchange(ctx, line)
	if err != nil && old && ctx.Err() == nil { // the guard was restarted since the last call; asking twice does no harm
		a, err = c.exchange(ctx, line)
	}
	if err != nil {
		return Status{}, c.failed(r, err)
	}
	if !a.OK {
		return a.Status, fmt.Errorf("guard: %s: %w: %s", r.Op, ErrRefused, a.Error)
	}
	return a.Status, nil
}

func (c *Client) failed(r request, err error) error {
	return fmt.Errorf("guard: %s: no answer at %s: %w: is bascule-guard.service running?", r.Op, c.socket, err)
}

// exchange sends one line and reads one. After an error the connection is dropped, because a late answer would be taken
// for the next one's.
func (c *Client) exchange(ctx context.Context, line []byte) (answer, error) {
	if c.conn == nil {
		conn, err := (&net.Dialer{}).DialContext(ctx, "unix", c.socket)
		if err != nil {
			return answer{}, err
		}
		c.conn, c.in = conn, bufio.NewReader(conn)
	}
	conn := c.conn
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) }) // ends the read below
	defer stop()
	a, err := c.talk(line)
	if err != nil {
		_ = c.drop() // the error that counts is the one before
		return answer{}, errors.Join(err, ctx.Err())
	}
	return a, nil
}

func (c *Client) talk(line []byte) (answer, error) {
	if _, err := c.conn.Write(append(line, '\n')); err != nil {
		return answer{}, err
	}
	got, err := c.in.ReadBytes('\n')
	if err != nil {
		return answer{}, err
	}
	var a answer
	if err := json.Unmarshal(got, &a); err != nil {
		return answer{}, fmt.Errorf("answer is not understood: %w", err)
	}
	return a, nil
}

func (c *Client) drop() error {
	if c.conn == nil {
		return nil
	}
	err := c.conn.Close()
	c.conn, c.in = nil, nil
	return err
}
