package apitest

import (
	"context"
	"slices"

	"bascule/ha/api"
)

// SetEtcd says who the embedded etcd's members are.
func (f *Fake) SetEtcd(members ...api.EtcdMember) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.etcd = members
}

// EtcdChanges returns what was asked for.
func (f *Fake) EtcdChanges() []api.EtcdChange {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.etcdChanges)
}

// EtcdMembers implements api.Backend.
func (f *Fake) EtcdMembers(context.Context) ([]api.EtcdMember, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.etcd), f.fail
}

// EtcdChange implements api.Backend: the change happens at once.
func (f *Fake) EtcdChange(_ context.Context, c api.EtcdChange) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fail != nil {
		return f.fail
	}
	f.etcdChanges = append(f.etcdChanges, c)
	if c.Op != api.EtcdAdd {
		f.etcd = slices.DeleteFunc(f.etcd, func(m api.EtcdMember) bool { return m.Node == c.Node })
	}
	switch c.Op {
	case api.EtcdAdd:
		f.etcd = append(f.etcd, api.EtcdMember{ID: "99", Node: c.Node, Peer: "10.0.0.9:2380", Started: true, Answers: true})
	case api.EtcdReplace:
		f.etcd = append(f.etcd, api.EtcdMember{ID: "99", Node: c.By, Peer: "10.0.0.9:2380", Started: true, Answers: true})
	}
	return nil
}
