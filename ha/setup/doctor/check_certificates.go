package doctor

import (
	"fmt"
	"time"
)

// renewBefore is how long before its end a certificate is worth a word.
const renewBefore = 30 * 24 * time.Hour

// certificates: how long the members' certificates last.
var certificates = check{
	kinds: []Kind{
		{ID: "certificate-expired", Grades: []Severity{Critical}, Title: "A certificate is not valid now",
			Why: "members refuse each other's connections: no store, no peer permit, no hactl from outside. What is connected goes on until the next restart",
			Do:  "make a new one by the cluster's authority and restart basculed there; if the certificate is \"not valid yet\", set the clock"},
		{ID: "certificate-expiring", Grades: []Severity{Warning, OK}, Title: "A certificate ends soon",
			Why: "from then on the member is refused by the others",
			Do:  "renew it now, by the cluster's authority; basculed takes it up at its next restart, which touches no guest"},
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
	if life := c.NotAfter.Sub(c.From); life < 3*renewBefore { // a short-lived one is renewed often: its last third
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
}

// days words a span in whole days, or hours below two.
func days(d time.Duration) string {
	if d < 48*time.Hour {
		return plural(int(d/time.Hour), "hour")
	}
	return plural(int(d/(24*time.Hour)), "day")
}
