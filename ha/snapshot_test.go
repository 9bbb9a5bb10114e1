package ha

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// TestDecoderIsDecodeSnapshot changes, breaks, repairs, removes and remakes keys of a store at random: a decoder that has seen all its
// revisions says the same of each as one that sees it for the first time.
func TestDecoderIsDecodeSnapshot(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 2))
	values := map[string][]string{
		KeyLeader:                  {`{"node":"n1"}`, `{"node":"n2"}`},
		KeyCluster:                 {`{"schema":1,"epoch":1}`, `{"schema":99}`, `x`},
		KeyLease("n1"):             {`{"incarnation":"b1"}`, `{"incarnation":"b2"}`, `[]`},
		KeyReport("n1"):            {`{"schema":1,"node":"n1","guests":[{"id":101}]}`, `{"schema":99,"node":"n1"}`, `{"schema":"x"}`},
		KeyNode("n1"):              {`{"schema":1,"node":"n1","state":"online"}`, `{"schema":1,"node":"n1","state":"fenced"}`},
		KeyGuest(101):              {`{"schema":1,"id":101,"storages":["a","b"]}`, `{"schema":1,"id":101,"move":{"target":"n2"}}`, `7`},
		PrefixGuest + "no-number":  {`{}`},
		KeyGuestReport("n1", 101):  {`{"guest":101,"phase":"running"}`, `{"guest":101,"phase":"failed"}`},
		KeyFence("n1"):             {`{"schema":1,"node":"n1"}`},
		KeyRequest("r1"):           {`{"id":"r1"}`},
		KeyOnboot(101):             {`{"guest":101,"old":true}`, `{"guest":101}`},
		PrefixEvent + "0000000001": {`{}`},
		"newer/thing":              {`{}`},
	}
	store := map[string]KV{}
	var d Decoder
	for rev := int64(1); rev < 400; rev++ {
		keys := slices.Sorted(keysOf(values))
		k := keys[rng.IntN(len(keys))]
		if old, ok := store[k]; ok && rng.IntN(4) == 0 {
			delete(store, k)
		} else {
			kv := KV{Key: k, Value: []byte(values[k][rng.IntN(len(values[k]))]), CreateRev: rev, ModRev: rev}
			if ok {
				kv.CreateRev = old.CreateRev
			}
			if rng.IntN(10) == 0 { // a restored store can show another value at a revision that was seen before
				kv.ModRev = old.ModRev
			}
			store[k] = kv
		}
		var kvs []KV
		for _, k := range slices.Sorted(keysOf(store)) {
			kvs = append(kvs, store[k])
		}
		got, gotErrs := d.Decode(rev, kvs)
		want, wantErrs := DecodeSnapshot(rev, kvs)
		if !reflect.DeepEqual(got, want) || fmt.Sprint(gotErrs) != fmt.Sprint(wantErrs) {
			t.Fatalf("revision %d, after a change of %s:\ngot  %+v %v\nwant %+v %v", rev, k, got, gotErrs, want, wantErrs)
		}
	}
}

func keysOf[V any](m map[string]V) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// bigStore is what the store of 32 nodes and 500 guests holds, with one key that changes.
func bigStore(rev int64) []KV {
	var kvs []KV
	for n := range 32 {
		name := NodeName(fmt.Sprintf("node%d", n))
		rep := NodeReport{Schema: Schema, Node: name, Incarnation: "boot", Memory: 1 << 36}
		for g := range 16 {
			id := VMID(100 + 16*n + g)
			rep.Guests = append(rep.Guests, GuestSeen{ID: id, Name: "web", Kind: QEMU, Protected: true, Running: true, Memory: 1 << 30, Storages: []string{"ceph-vm"}})
			rec := GuestRecord{Schema: Schema, ID: id, Kind: QEMU, State: GuestStarted, Reason: strings.Repeat("runs ", 5), Node: name, Incarnation: "boot", Generation: 3,
				Holders: []Holder{{Node: name, Incarnation: "boot", Generation: 3}}, Storages: []string{"ceph-vm"}}
			kvs = append(kvs, KV{Key: KeyGuest(id), Value: Encode(rec), CreateRev: 1, ModRev: 7},
				KV{Key: KeyGuestReport(name, id), Value: Encode(GuestReport{Guest: id, Node: name, Incarnation: "boot", Generation: 3, Phase: PhaseRunning}), CreateRev: 1, ModRev: 7})
		}
		kvs = append(kvs, KV{Key: KeyReport(name), Value: Encode(rep), CreateRev: 1, ModRev: 7},
			KV{Key: KeyNode(name), Value: Encode(NodeRecord{Schema: Schema, Node: name, State: NodeOnline, Incarnation: "boot"}), CreateRev: 1, ModRev: 7})
	}
	return append(kvs, KV{Key: KeyOnboot(101), Value: []byte(`{"guest":101,"old":true}`), CreateRev: 1, ModRev: rev})
}

// BenchmarkDecode is the cost of one change of a big store on every node: anew, and with a Decoder.
func BenchmarkDecode(b *testing.B) {
	kvs := bigStore(8)
	b.Run("anew", func(b *testing.B) {
		for b.Loop() {
			DecodeSnapshot(8, kvs)
		}
	})
	b.Run("decoder", func(b *testing.B) {
		var d Decoder
		for rev := int64(8); b.Loop(); rev++ {
			kvs[len(kvs)-1].ModRev = rev
			d.Decode(rev, kvs)
		}
	})
}
