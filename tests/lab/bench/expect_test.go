package bench

import (
	"strings"
	"testing"
	"time"

	"bascule/tests/lab"
)

// The demo fails where a guest ran before its proof may exist, where another proof came first, and where it saw too little to say so.
func TestExpectations(t *testing.T) {
	cut := time.Unix(1700000000, 0)
	after := func(seconds float64) time.Time { return cut.Add(time.Duration(seconds * float64(time.Second))) }
	for name, c := range map[string]struct {
		fencing string
		seen    lost
		want    string // of the result
		err     string
	}{
		"redfish": {lab.Redfish, lost{proof: "PowerOffConfirmed: read off twice", first: after(3), all: after(4)},
			"RESULT fencing=redfish proof=PowerOffConfirmed first=3.00 all=4.00", ""},
		"ipmi, by time": {lab.IPMI, lost{proof: "SelfFenceElapsed: W", first: after(30), all: after(30)}, "", "was to show PowerOffConfirmed"},
		"watchdog": {lab.Watchdog, lost{proof: "SelfFenceElapsed: W", lease: after(5), first: after(19.5), all: after(20)},
			"RESULT fencing=watchdog proof=SelfFenceElapsed first=19.50 all=20.00 waited=14.50 derived=14.50", ""},
		"watchdog, too early": {lab.Watchdog, lost{proof: "SelfFenceElapsed: W", lease: after(5), first: after(19.49), all: after(20)}, "", "TOO EARLY"},
		"watchdog, no lease":  {lab.Watchdog, lost{proof: "SelfFenceElapsed: W", first: after(19), all: after(20)}, "", "was not seen"},
		"sbd": {lab.SBD, lost{proof: "PoisonPill: msgwait", pill: after(8), first: after(18.4), all: after(19), downed: true},
			"RESULT fencing=sbd proof=PoisonPill first=18.40 all=19.00 waited=10.40 derived=10.00", ""},
		"sbd, too early":   {lab.SBD, lost{proof: "PoisonPill: msgwait", pill: after(8), first: after(17.9), all: after(19), downed: true}, "", "TOO EARLY"},
		"sbd, not obeyed":  {lab.SBD, lost{proof: "PoisonPill: msgwait", pill: after(8), first: after(18.4), all: after(19)}, "", "still has power"},
		"sbd, not written": {lab.SBD, lost{proof: "PoisonPill: msgwait", first: after(18.4), all: after(19), downed: true}, "", "was not seen"},
	} {
		o := lab.Options{Fencing: c.fencing, Timing: "normal"}
		e, err := expect(o)
		if err != nil {
			t.Fatal(err)
		}
		c.seen.cut = cut
		text, result, err := e.judge(o, c.seen)
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%s: %v, want %q", name, err, c.err)
			}
			continue
		}
		if err != nil || result != c.want || text == "" {
			t.Errorf("%s: %q, %v", name, result, err)
		}
	}
}
