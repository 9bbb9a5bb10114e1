package etcd

import (
	"context"
	"errors"
	"fmt"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"bascule/ha"
)

// etcdError returns the store's own error inside err, if it is one. Both forms occur: the client's and gRPC's.
func etcdError(err error) (rpctypes.EtcdError, bool) {
	var e rpctypes.EtcdError
	if errors.As(err, &e) {
		return e, true
	}
	if errors.As(rpctypes.Error(err), &e) {
		return e, true
	}
	return rpctypes.EtcdError{}, false
}

// definite says whether the store itself refused: every other member would answer the same, nothing was written.
func definite(err error) bool {
	if errors.Is(err, errLogin) {
		return true
	}
	e, ok := etcdError(err)
	if !ok || e.Error() == rpctypes.ErrAuthOldRevision.Error() {
		return false
	}
	switch e.Code() {
	case codes.NotFound, codes.OutOfRange, codes.InvalidArgument, codes.DataLoss, codes.PermissionDenied:
		return true
	}
	return e.Error() == rpctypes.ErrNoSpace.Error()
}

// notExecuted says whether a transaction was refused before it was proposed, so that another member may be asked.
func notExecuted(err error) bool {
	e, ok := etcdError(err)
	if !ok {
		return false
	}
	switch e.Error() {
	case rpctypes.ErrNoLeader.Error(), rpctypes.ErrTooManyRequests.Error(), rpctypes.ErrNotCapable.Error(),
		rpctypes.ErrInvalidAuthToken.Error(), rpctypes.ErrAuthOldRevision.Error(),
		rpctypes.ErrorDesc(rpctypes.ErrGRPCNotSupportedForLearner):
		return true
	}
	return false
}

func leaseGone(err error) bool {
	e, ok := etcdError(err)
	return ok && e.Error() == rpctypes.ErrLeaseNotFound.Error()
}

func isTimeout(err error) bool {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return true
	}
	c := status.Code(err)
	return c == codes.DeadlineExceeded || c == codes.Canceled
}

// unavailable is ErrUnavailable with what each endpoint said.
func unavailable(what string, problems []error, ended error) error {
	all := errors.Join(append(problems, ended)...)
	if all == nil {
		all = errors.New("no endpoint could be reached")
	}
	return fmt.Errorf("%s: %w: %w", what, ha.ErrUnavailable, all)
}

// refused turns a definite refusal into the port's error.
func refused(what string, err error) error {
	if leaseGone(err) {
		return fmt.Errorf("%s: %w", what, ha.ErrLeaseGone)
	}
	e, ok := etcdError(err)
	switch {
	case ok && e.Error() == rpctypes.ErrNoSpace.Error():
		return fmt.Errorf("%s: %w: %w: etcd's database is full: compact and defragment it, then disarm its NOSPACE alarm", what, ha.ErrUnavailable, err)
	case ok && e.Code() == codes.PermissionDenied:
		return fmt.Errorf("%s: the store refused: %w: its user (or the name in the client certificate) needs a role that may read and write everything under this cluster's prefix", what, err)
	case ok && e.Error() == rpctypes.ErrUserEmpty.Error():
		return fmt.Errorf("%s: the store refused: %w: this etcd wants a user: set etcd.user and etcd.password_file", what, err)
	}
	return fmt.Errorf("%s: the store refused: %w", what, err)
}
