package cephblocklist

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"bascule/fencing"
)

// Times of entries. Ceph knows none without an end.
const (
	year = 365 * 24 * time.Hour
	// lasting is how long an entry of ours lives if nobody takes it back: longer than any machine stays unrepaired.
	lasting = 10 * year
	// oursFrom tells our entries from those of others, which last an hour (Ceph's default) to five years.
	oursFrom = 6 * year
	// enough is what an entry must have left to count; with less, the incarnation could outlive it.
	enough = year
)

// stamp is how Ceph writes times.
const stamp = "2006-01-02T15:04:05.999999-0700"

// entry is one line of the blocklist that blocks whole addresses. Entries for one single client process of an address (with a nonce)
// are left out: the next process would be let in.
type entry struct {
	text   string       // as Ceph writes it
	covers netip.Prefix // all ports and processes of these addresses
	ranged bool         // it came from the list of ranges
	until  time.Time
}

// entries reads both lists. bad are entries that could not be understood.
func (m *osdMap) entries() (good []entry, bad []string) {
	for text, until := range m.Blocklist {
		addr, port, nonce, err := parseEntity(text)
		t, terr := time.Parse(stamp, until)
		switch {
		case err != nil || terr != nil:
			bad = append(bad, text)
		case port == 0 && nonce == 0:
			good = append(good, entry{text, netip.PrefixFrom(addr, addr.BitLen()), false, t})
		}
	}
	for text, until := range m.Ranges {
		addr, _, bits, err := parseEntity(text)
		t, terr := time.Parse(stamp, until)
		if err != nil || terr != nil || bits > uint64(addr.BitLen()) {
			bad = append(bad, text)
			continue
		}
		good = append(good, entry{text, netip.PrefixFrom(addr, int(bits)), true, t})
	}
	slices.SortFunc(good, func(a, b entry) int { return b.until.Compare(a.until) })
	slices.Sort(bad)
	return good, bad
}

// ours: of exactly this address, with an end as only we set it.
func (e entry) ours(a netip.Addr, now time.Time) bool {
	return e.covers == netip.PrefixFrom(a, a.BitLen()) && e.until.After(now.Add(oursFrom))
}

// cover sorts addresses by what the blocklist says of them: open ones are on no line of it, short ones only on lines that end too soon.
func (m *osdMap) cover(addrs []netip.Addr, now time.Time) (open []netip.Addr, short []string, err error) {
	good, bad := m.entries()
	for _, a := range addrs {
		i := slices.IndexFunc(good, func(e entry) bool { return e.covers.Contains(a) && e.until.After(now) })
		switch {
		case i < 0 && len(bad) > 0:
			return nil, nil, fmt.Errorf("%w: its blocklist has an entry %q: whether %s is on it is not known", fencing.ErrRubbish, fencing.Printable(bad[0], 80), a)
		case i < 0:
			open = append(open, a)
		case !good[i].until.After(now.Add(enough)):
			short = append(short, fmt.Sprintf("%s only until %s", a, good[i].until.Format(time.DateTime+"Z07:00")))
		}
	}
	return open, short, nil
}
