package cephblocklist

import (
	"fmt"
	"math/bits"

	"bascule/fencing"
)

// maxPGs is the most placement groups that a pool may have by Ceph's own limit (mon_max_pool_pg_num).
const maxPGs = 65536

// probePrefix begins the names of the objects that are asked for. They do not exist: a group answers "no such object" all the same.
const probePrefix = "bascule."

// probes returns one object name for each placement group of a pool, in the order of the groups.
func probes(pgs int) ([]string, error) {
	if pgs < 1 || pgs > maxPGs {
		return nil, fmt.Errorf("%w: a pool with %d placement groups", fencing.ErrRubbish, pgs)
	}
	names, left := make([]string, pgs), pgs
	for i := 0; left > 0 && i < 200*pgs+1000; i++ {
		name := fmt.Sprintf("%s%d", probePrefix, i)
		if pg := group(name, pgs); names[pg] == "" {
			names[pg] = name
			left--
		}
	}
	if left > 0 { // cannot be for a hash that spreads
		return nil, fmt.Errorf("%w: no object name found for %d of %d placement groups", fencing.ErrRubbish, left, pgs)
	}
	return names, nil
}

// group is the number of the placement group of an object (without locator and namespace): Ceph's ceph_stable_mod of the name's hash.
func group(name string, pgs int) int {
	mask := uint32(1)<<bits.Len32(uint32(pgs-1)) - 1
	h := hash(name)
	if h&mask < uint32(pgs) {
		return int(h & mask)
	}
	return int(h & (mask >> 1))
}

// hash is Ceph's ceph_str_hash_rjenkins: Robert Jenkins' hash of 1996, in the public domain.
func hash(s string) uint32 {
	a, b, c := uint32(0x9e3779b9), uint32(0x9e3779b9), uint32(0)
	k := []byte(s)
	for ; len(k) >= 12; k = k[12:] {
		a, b, c = a+little(k[0:4]), b+little(k[4:8]), c+little(k[8:12])
		a, b, c = mix(a, b, c)
	}
	c += uint32(len(s))
	a += little(k[:min(len(k), 4)])
	if len(k) > 4 {
		b += little(k[4:min(len(k), 8)])
	}
	if len(k) > 8 { // the lowest byte holds the length
		c += little(k[8:]) << 8
	}
	_, _, c = mix(a, b, c)
	return c
}

func little(k []byte) (v uint32) {
	for i, x := range k {
		v |= uint32(x) << (8 * i)
	}
	return v
}

func mix(a, b, c uint32) (uint32, uint32, uint32) {
	for _, s := range [3][3]int{{13, 8, 13}, {12, 16, 5}, {3, 10, 15}} {
		a = (a - b - c) ^ c>>s[0]
		b = (b - c - a) ^ a<<s[1]
		c = (c - a - b) ^ b>>s[2]
	}
	return a, b, c
}
