package etcd

import (
	"context"
	"sync/atomic"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"go.etcd.io/etcd/server/v3/embed"
	"google.golang.org/grpc"
)

// surviveStop keeps the daemon alive when the member inside it stops by itself (removed from the cluster, disk lost): etcd
// expects its process to end then, and its handlers crash on the closed database. Requests that come in until the
// listeners are closed are refused here; a crash of one that was already being handled becomes the answer "server
// stopped". A crash of a member that is not stopping stays a crash.
func surviveStop(started *atomic.Pointer[embed.Etcd]) []grpc.ServerOption {
	stopping := func() bool {
		e := started.Load()
		if e == nil {
			return false
		}
		select {
		case <-e.Server.StoppingNotify():
			return true
		default:
			return false
		}
	}
	guard := func(handle func() error) (err error) {
		if stopping() {
			return rpctypes.ErrGRPCStopped
		}
		defer func() {
			if p := recover(); p != nil {
				if !stopping() {
					panic(p)
				}
				err = rpctypes.ErrGRPCStopped
			}
		}()
		return handle()
	}
	return []grpc.ServerOption{
		grpc.ChainUnaryInterceptor(func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (resp any, err error) {
			err = guard(func() error {
				var herr error
				resp, herr = handler(ctx, req)
				return herr
			})
			return resp, err
		}),
		grpc.ChainStreamInterceptor(func(srv any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
			return guard(func() error { return handler(srv, stream) })
		}),
	}
}
