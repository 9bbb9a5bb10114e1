package doctor

import (
	"fmt"
	"time"
)

// How long before its end a certificate is worth a word. To replace the authority needs every member once, so there is time for it.
const (
	renewBefore   = 30 * 24 * time.Hour
	replaceBefore = 365 * 24 * time.Hour
)

// authority is the use of the file with the authorities that the members trust.
const authority = "authority"

// certificates: how long the members' certificates last.
var certificates = check{
	kinds: []Kind{
		{ID: "certificate-expired", Grades: []Severity{Critical}, Title: "A certificate is not valid now",
			Why: "members refuse each other's connections: no store, no peer permit, no hactl from outside. What is connected goes on until the next restart",
			Do:  "set the clock, if that is wrong; then restart basculed there: a node renews its certificate before it talks to anybody. A witness's: hactl witness renew NAME on a node"},
		{ID: "certificate-expiring", Grades: []Severity{Warning, OK}, Title: "A certificate ends soon",
			Why: "from then on the member is refused by the others; with the cluster's authority every certificate ends",
			Do:  "a member renews its own certificate eight months ahead, so something keeps it from that: hactl status says what. An authority is replaced: hactl keys rotate-authority"},
		{ID: "authority-rotation", Grades: []Severity{Warning}, Title: "The cluster's authority is being replaced, and that is not finished",
			Why: "the old authority is trusted until then, and so is whoever has a certificate of it",
			Do:  "hactl keys rotate-authority goes on with it; it names the member that it waits for. One that is gone for good is taken out first: hactl remove NODE"},
		{ID: "certificate-unreadable", Grades: []Severity{Warning}, Title: "A certificate cannot be read",
			Why: "basculed does not start again without it",
			Do:  "see that the file is there, belongs to root and is PEM (openssl x509 -in FILE -noout -dates)"},
	},
	run: func(x *exam) {
		for _, f := range x.nodes() {
			for _, c := range f.Certificates {
				x.certificate(f, c)
			}
		}
	},
}

func (x *exam) certificate(f Facts, c Certificate) {
	out := Finding{Node: f.Node, Subject: fmt.Sprintf("%s certificate of %s", c.Use, f.Node)}
	left := c.NotAfter.Sub(f.At)
	day := func(t time.Time) string { return t.UTC().Format(time.DateOnly) }
	soon := renewBefore
	if c.Use == authority {
		soon = replaceBefore
	}
	if life := c.NotAfter.Sub(c.From); life < 3*soon { // a short-lived one is renewed often: its last third
		soon = life / 3
	}
	switch {
	case c.Problem != "":
		out.ID, out.Severity, out.Evidence = "certificate-unreadable", Warning, fmt.Sprintf("%s: %s", c.File, c.Problem)
	case left <= 0:
		out.ID, out.Severity, out.Evidence = "certificate-expired", Critical, fmt.Sprintf("%s ended %s, %s ago", c.File, day(c.NotAfter), days(-left))
	case f.At.Before(c.From):
		out.ID, out.Severity, out.Evidence = "certificate-expired", Critical, fmt.Sprintf("%s is not valid before %s, and this machine's clock says %s", c.File, day(c.From), day(f.At))
	case left < soon:
		out.ID, out.Severity, out.Evidence = "certificate-expiring", Warning, fmt.Sprintf("%s ends %s, in %s", c.File, day(c.NotAfter), days(left))
	default:
		out.ID, out.Severity, out.Evidence = "certificate-expiring", OK, fmt.Sprintf("%s lasts until %s", c.File, day(c.NotAfter))
	}
	x.add(out)
	if c.Use == authority && c.Count > 1 {
		x.add(Finding{ID: "authority-rotation", Severity: Warning, Node: f.Node, Subject: fmt.Sprintf("authorities that %s trusts", f.Node),
			Evidence: fmt.Sprintf("%s holds %d", c.File, c.Count)})
	}
}

// days words a span in whole days, or hours below two.
func days(d time.Duration) string {
	if d < 48*time.Hour {
		return plural(int(d/time.Hour), "hour")
	}
	return plural(int(d/(24*time.Hour)), "day")
}
