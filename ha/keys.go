package ha

import (
	"encoding/json"
	"fmt"
	"strconv"
)

// KeyLeader is the key that the leader holds; its create revision is the term.
const KeyLeader = "leader"

// KeyCluster is the key of the cluster record.
const KeyCluster = "cluster"

// KeyEtcdChange is the key that is held while etcd's own voters are changed.
const KeyEtcdChange = "etcd-change"

// KeyVoterChange is the key of the record of a voter that is gone and loses its vote to another.
const KeyVoterChange = "voter-change"

// Key prefixes, relative to the cluster's own prefix in the store.
const (
	PrefixLease       = "lease/"
	PrefixReport      = "report/"
	PrefixNode        = "node/"
	PrefixGuest       = "guest/"
	PrefixGuestReport = "guestreport/"
	PrefixFence       = "fence/"
	PrefixRequest     = "request/"
	PrefixEvent       = "event/"
	PrefixOnboot      = "onboot/"
)

// KeyLease is the key of a node's lease record.
func KeyLease(n NodeName) string { return PrefixLease + string(n) }

// KeyReport is the key of a node's report.
func KeyReport(n NodeName) string { return PrefixReport + string(n) }

// KeyNode is the key of the leader's record of a node.
func KeyNode(n NodeName) string { return PrefixNode + string(n) }

// KeyGuest is the key of a guest's record.
func KeyGuest(id VMID) string { return PrefixGuest + strconv.Itoa(int(id)) }

// KeyGuestReport is the key of a node's report about one guest.
func KeyGuestReport(n NodeName, id VMID) string {
	return PrefixGuestReport + string(n) + "/" + strconv.Itoa(int(id))
}

// KeyFence is the key of a node's fence record.
func KeyFence(n NodeName) string { return PrefixFence + string(n) }

// KeyOnboot is the key that keeps a protected guest's former onboot value.
func KeyOnboot(id VMID) string { return PrefixOnboot + strconv.Itoa(int(id)) }

// KeyRequest is the key of an operator's request.
func KeyRequest(id string) string { return PrefixRequest + id }

// KV is one stored key as the store port hands it over; keys are relative to the cluster's prefix.
type KV struct {
	Key       string
	Value     []byte
	CreateRev int64
	ModRev    int64
	Lease     LeaseID
}

// Versioned is a record with the store revision that it was last changed at; 0 means it does not exist.
type Versioned[T any] struct {
	Rec T
	Rev int64
}

// Snapshot is everything in the store at one revision.
type Snapshot struct {
	Revision     int64
	Leader       *LeaderRecord
	Term         Term // create revision of the leader key, 0 without a leader
	Cluster      Versioned[ClusterRecord]
	Leases       map[NodeName]Versioned[LeaseRecord]
	Reports      map[NodeName]Versioned[NodeReport]
	Nodes        map[NodeName]Versioned[NodeRecord]
	Guests       map[VMID]Versioned[GuestRecord]
	GuestReports map[NodeName]map[VMID]Versioned[GuestReport]
	Fences       map[NodeName]Versioned[FenceRecord]
	Requests     map[string]Versioned[Request]
	Onboot       map[VMID]Versioned[OnbootRecord]
	VoterChange  Versioned[VoterChange]
	Events       []string // keys only, ascending
	NewerSchema  string   // key of a record of a newer schema: do not lead
	Unreadable   []string // keys that are there and cannot be decoded: what they are about is left alone until somebody has put them right
}

// Encode is how records are stored: JSON, keys in field order, so that equal records are equal bytes.
func Encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil { // records hold only plain data: this cannot happen unless a type is changed wrongly
		panic(fmt.Sprintf("record %T cannot be encoded: %v", v, err))
	}
	return b
}
