package etcd

import (
	"fmt"
	"sync"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
)

// identityHolds is how long a cluster that does not answer any more is still the only one that is listened to.
const identityHolds = 30 * time.Second

// identity keeps the members of two etcd clusters apart: endpoints of different ones (mixed up in a configuration, or a voter that
// was set up a second time) would show two truths in turn. The cluster that answered first is the one; another is believed only
// when nobody of the first has answered for identityHolds, as after a restore, which makes a new cluster (R8 finds what that changed).
type identity struct {
	mu   sync.Mutex
	id   uint64
	seen time.Time
}

// check takes in which cluster has answered.
func (i *identity) check(id uint64, now time.Time) error {
	if id == 0 {
		return nil // an answer that does not say
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.id != 0 && i.id != id && now.Sub(i.seen) < identityHolds {
		return fmt.Errorf("it belongs to another etcd cluster (%x) than the one that answered first (%x): all endpoints must be members of one cluster", id, i.id)
	}
	i.id, i.seen = id, now
	return nil
}

// is says whether the cluster that answers is this one.
func (i *identity) is(id uint64) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.id == id
}

// headed is every answer that says where it comes from.
type headed interface{ GetHeader() *pb.ResponseHeader }

// checkReply is check for any answer.
func (i *identity) checkReply(reply any, now time.Time) error {
	if h, ok := reply.(headed); ok {
		return i.check(h.GetHeader().GetClusterId(), now)
	}
	return nil
}
