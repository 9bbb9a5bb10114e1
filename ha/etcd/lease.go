package etcd

import (
	"context"
	"errors"
	"fmt"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"

	"bascule/ha"
)

// Grant makes a lease of exactly ttl (whole seconds). An etcd whose election timeout makes it grant longer ones only is refused with
// ErrTTL: a dead node's lease would outlive what all other times are reckoned with. A grant whose answer is lost is ErrUnavailable:
// what may have been granted holds no key and ends by itself.
func (s *Store) Grant(ctx context.Context, ttl time.Duration) (ha.LeaseID, error) {
	what := "granting a lease"
	if ttl < time.Second || ttl%time.Second != 0 {
		return 0, fmt.Errorf("%s: a TTL of %v is not a positive number of whole seconds", what, ttl)
	}
	if err := s.shortest.known(ttl, time.Now()); err != nil {
		return 0, fmt.Errorf("%s: %w", what, err)
	}
	ctx, cancel := s.pool.bound(ctx)
	defer cancel()
	tried := map[*endpoint]bool{}
	var problems []error
	for {
		e := s.pool.pick(ctx, tried)
		if e == nil {
			return 0, unavailable(what, problems, ctx.Err())
		}
		tried[e] = true
		began := time.Now()
		resp, err := e.client.Grant(ctx, int64(ttl/time.Second))
		switch {
		case err == nil && time.Duration(resp.TTL)*time.Second < ttl:
			return 0, fmt.Errorf("%s: asked for %v, got %d s: a permit counted from it would be too long", what, ttl, resp.TTL)
		case err == nil && time.Duration(resp.TTL)*time.Second > ttl:
			_, _ = e.client.Revoke(ctx, resp.ID) // nobody uses it; if this fails it ends by itself
			return 0, fmt.Errorf("%s: %w", what, s.shortest.note(ttl, time.Duration(resp.TTL)*time.Second, time.Now()))
		case err == nil:
			e.good()
			return ha.LeaseID(resp.ID), nil
		case definite(err):
			return 0, refused(what, err)
		}
		e.failed(silence(err, began))
		problems = append(problems, fmt.Errorf("%s: %w", e.name, err))
		if !notExecuted(err) {
			return 0, unavailable(what, problems, ctx.Err())
		}
	}
}

// Renew prolongs a lease once and returns the TTL that it has from some moment after the sending: count a permit from
// before the call. ErrLeaseGone when the store says that it does not exist; ErrUnavailable without an answer.
func (s *Store) Renew(ctx context.Context, id ha.LeaseID) (time.Duration, error) {
	what := fmt.Sprintf("renewing lease %x", int64(id))
	ttl, err := hedged(ctx, s.pool, what, func(ctx context.Context, e *endpoint) (int64, error) {
		return renewOnce(ctx, e.conn(), int64(id))
	})
	if err != nil {
		return 0, refusedIfDefinite(what, err)
	}
	return time.Duration(ttl) * time.Second, nil
}

// renewOnce asks one member. (The client's own KeepAliveOnce repeats without a pause while a member has no leader.)
func renewOnce(ctx context.Context, conn *grpc.ClientConn, id int64) (int64, error) {
	ctx, cancel := context.WithCancel(ctx) // ends the stream
	defer cancel()
	stream, err := pb.NewLeaseClient(conn).LeaseKeepAlive(ctx, grpc.WaitForReady(true))
	if err != nil {
		return 0, err
	}
	if err := stream.Send(&pb.LeaseKeepAliveRequest{ID: id}); err != nil {
		// The stream is over; why, Recv says.
		if _, rerr := stream.Recv(); rerr != nil {
			err = rerr
		}
		return 0, err
	}
	resp, err := stream.Recv()
	if err != nil {
		return 0, err
	}
	if resp.ID != id {
		return 0, errors.New("the answer is about another lease")
	}
	if resp.TTL <= 0 { // how the server says "not found" here
		return 0, rpctypes.ErrLeaseNotFound
	}
	return resp.TTL, nil
}

// Revoke ends a lease now and removes its keys. A lease that is gone already is no error.
func (s *Store) Revoke(ctx context.Context, id ha.LeaseID) error {
	what := fmt.Sprintf("revoking lease %x", int64(id))
	_, err := hedged(ctx, s.pool, what, func(ctx context.Context, e *endpoint) (*clientv3.LeaseRevokeResponse, error) {
		return e.client.Revoke(ctx, clientv3.LeaseID(id))
	})
	if err == nil || leaseGone(err) {
		return nil
	}
	return refusedIfDefinite(what, err)
}
