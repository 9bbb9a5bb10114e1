package ha

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// DecodeSnapshot builds a snapshot from raw keys. Keys that it cannot decode are listed as unreadable and returned as errors naming
// the key; unknown prefixes are ignored (a newer daemon's).
func DecodeSnapshot(rev int64, kvs []KV) (Snapshot, []error) {
	return decodeAll(rev, kvs, nil, nil)
}

// Decoder is DecodeSnapshot for a store that is read again and again: a record whose key, value and revisions are as they were the last
// time is taken over. In a big cluster each change would otherwise cost every node the decoding of a thousand records. Its zero value
// is ready; it is not for use by several goroutines at once. Records of different snapshots share their lists: nobody may change them.
type Decoder struct {
	kept map[string]keptRecord
}

type keptRecord struct {
	kv  KV
	rec any // Versioned of the key's type
}

// decoding is one Decode under way.
type decoding struct {
	Snapshot
	old  map[string]keptRecord
	kept map[string]keptRecord // nil: nothing is kept
}

// Decode is DecodeSnapshot.
func (d *Decoder) Decode(rev int64, kvs []KV) (Snapshot, []error) {
	kept := make(map[string]keptRecord, len(kvs))
	s, errs := decodeAll(rev, kvs, d.kept, kept)
	d.kept = kept
	return s, errs
}

func decodeAll(rev int64, kvs []KV, old, kept map[string]keptRecord) (Snapshot, []error) {
	s := decoding{old: old, kept: kept, Snapshot: Snapshot{
		Revision: rev,
		Leases:   map[NodeName]Versioned[LeaseRecord]{}, Reports: map[NodeName]Versioned[NodeReport]{},
		Nodes: map[NodeName]Versioned[NodeRecord]{}, Guests: map[VMID]Versioned[GuestRecord]{},
		GuestReports: map[NodeName]map[VMID]Versioned[GuestReport]{}, Fences: map[NodeName]Versioned[FenceRecord]{},
		Requests: map[string]Versioned[Request]{}, Onboot: map[VMID]Versioned[OnbootRecord]{},
	}}
	var errs []error
	for _, kv := range kvs {
		if err := s.put(kv); err != nil {
			s.unreadable(kv)
			errs = append(errs, fmt.Errorf("store key %s: %w", kv.Key, err))
		}
	}
	return s.Snapshot, errs
}

func (s *decoding) put(kv KV) error {
	prefix, rest, _ := strings.Cut(kv.Key, "/")
	switch prefix + "/" {
	case KeyLeader + "/":
		s.Leader, s.Term = &LeaderRecord{}, Term(kv.CreateRev)
		return json.Unmarshal(kv.Value, s.Leader)
	case KeyCluster + "/":
		s.Cluster = Versioned[ClusterRecord]{Rev: kv.ModRev}
		err := json.Unmarshal(kv.Value, &s.Cluster.Rec)
		return s.checked(kv, err, s.Cluster.Rec.Schema)
	case KeyVoterChange + "/":
		s.VoterChange = Versioned[VoterChange]{Rev: kv.ModRev}
		err := json.Unmarshal(kv.Value, &s.VoterChange.Rec)
		return s.checked(kv, err, s.VoterChange.Rec.Schema)
	case PrefixLease:
		return decode(s, s.Leases, NodeName(rest), kv)
	case PrefixReport:
		return s.checked(kv, decode(s, s.Reports, NodeName(rest), kv), s.Reports[NodeName(rest)].Rec.Schema)
	case PrefixNode:
		return s.checked(kv, decode(s, s.Nodes, NodeName(rest), kv), s.Nodes[NodeName(rest)].Rec.Schema)
	case PrefixFence:
		delete(s.old, kv.Key) // few, short-lived, and walked through by the ladder: each view has its own
		return s.checked(kv, decode(s, s.Fences, NodeName(rest), kv), s.Fences[NodeName(rest)].Rec.Schema)
	case PrefixRequest:
		return decode(s, s.Requests, rest, kv)
	case PrefixEvent:
		s.Events = append(s.Events, kv.Key)
		return nil
	case PrefixGuest:
		id, err := strconv.Atoi(rest)
		if err != nil {
			return err
		}
		return s.checked(kv, decode(s, s.Guests, VMID(id), kv), s.Guests[VMID(id)].Rec.Schema)
	case PrefixOnboot:
		id, err := strconv.Atoi(rest)
		if err != nil {
			return err
		}
		return decode(s, s.Onboot, VMID(id), kv)
	case PrefixGuestReport:
		node, num, _ := strings.Cut(rest, "/")
		id, err := strconv.Atoi(num)
		if err != nil {
			return err
		}
		if s.GuestReports[NodeName(node)] == nil {
			s.GuestReports[NodeName(node)] = map[VMID]Versioned[GuestReport]{}
		}
		return decode(s, s.GuestReports[NodeName(node)], VMID(id), kv)
	}
	return nil
}

// checked notes a record that a newer daemon wrote.
func (s *Snapshot) checked(kv KV, err error, schema int) error {
	if schema > Schema && s.NewerSchema == "" {
		s.NewerSchema = kv.Key
	}
	return err
}

// unreadable notes a key that cannot be decoded. A newer daemon may have changed the type of any field but the schema itself, so that is
// looked at alone.
func (s *Snapshot) unreadable(kv KV) {
	var v struct {
		Schema int `json:"schema"`
	}
	if json.Unmarshal(kv.Value, &v) == nil {
		_ = s.checked(kv, nil, v.Schema)
	}
	s.Unreadable = append(s.Unreadable, kv.Key)
}

func decode[K comparable, T any](s *decoding, m map[K]Versioned[T], k K, kv KV) error {
	if old, ok := s.old[kv.Key]; ok && old.kv.ModRev == kv.ModRev && old.kv.CreateRev == kv.CreateRev && bytes.Equal(old.kv.Value, kv.Value) {
		s.kept[kv.Key] = old // there is an old one only where records are kept
		m[k] = old.rec.(Versioned[T])
		return nil
	}
	v := Versioned[T]{Rev: kv.ModRev}
	if err := json.Unmarshal(kv.Value, &v.Rec); err != nil {
		return err
	}
	if s.kept != nil {
		s.kept[kv.Key] = keptRecord{kv, v}
	}
	m[k] = v
	return nil
}
