package etcd

import (
	"context"
	"strings"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"bascule/ha"
)

// Read returns everything under the cluster's prefix at one revision, linearizable, in the order of the keys.
func (s *Store) Read(ctx context.Context) (rev int64, kvs []ha.KV, err error) {
	resp, err := hedged(ctx, s.pool, "reading the store", func(ctx context.Context, e *endpoint) (*clientv3.GetResponse, error) {
		return e.client.Get(ctx, s.prefix, clientv3.WithPrefix())
	})
	if err != nil {
		return 0, nil, refusedIfDefinite("reading the store", err)
	}
	s.saw(resp.Header.Revision)
	kvs = make([]ha.KV, 0, len(resp.Kvs))
	for _, kv := range resp.Kvs {
		kvs = append(kvs, s.fromEtcd(kv))
	}
	return resp.Header.Revision, kvs, nil
}

// Get returns one key, nil when it does not exist, and the store's revision; linearizable.
func (s *Store) Get(ctx context.Context, key string) (*ha.KV, int64, error) {
	what := "reading " + key
	resp, err := hedged(ctx, s.pool, what, func(ctx context.Context, e *endpoint) (*clientv3.GetResponse, error) {
		return e.client.Get(ctx, s.prefix+key)
	})
	if err != nil {
		return nil, 0, refusedIfDefinite(what, err)
	}
	s.saw(resp.Header.Revision)
	if len(resp.Kvs) == 0 {
		return nil, resp.Header.Revision, nil
	}
	kv := s.fromEtcd(resp.Kvs[0])
	return &kv, resp.Header.Revision, nil
}

func (s *Store) fromEtcd(kv *mvccpb.KeyValue) ha.KV {
	return ha.KV{
		Key: strings.TrimPrefix(string(kv.Key), s.prefix), Value: kv.Value,
		CreateRev: kv.CreateRevision, ModRev: kv.ModRevision, Lease: ha.LeaseID(kv.Lease),
	}
}

// refusedIfDefinite leaves hedged's ErrUnavailable as it is.
func refusedIfDefinite(what string, err error) error {
	if definite(err) {
		return refused(what, err)
	}
	return err
}
