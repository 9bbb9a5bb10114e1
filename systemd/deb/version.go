package main

import (
	"regexp"
	"strings"
	"time"
)

// described is what `git describe --tags --always --dirty` says: a tag, perhaps commits after it, or a commit alone.
var (
	tagged = regexp.MustCompile(`^v?([0-9]+(?:\.[0-9]+)*)(?:-((?:rc|alpha|beta|pre)[0-9.]*))?(?:-([0-9]+)-g([0-9a-f]+))?$`)
	commit = regexp.MustCompile(`^[0-9a-f]{7,40}$`)
)

// debVersion turns a version of git's into one that dpkg orders as the commits were made: "v1.2.0" is 1.2.0, "v1.2.0-rc1" comes before it,
// "v1.2.0-5-gabc1234" after it. Without any tag the commit's time leads: 0.0~20261122145946.63e5d28.
func debVersion(describe string, at time.Time) string {
	describe, dirty := strings.CutSuffix(describe, "-dirty")
	version := ""
	if m := tagged.FindStringSubmatch(describe); m != nil && !commit.MatchString(describe) {
		version = m[1]
		if m[2] != "" {
			version += "~" + m[2]
		}
		if m[3] != "" {
			version += "+" + m[3] + "." + m[4]
		}
	} else {
		version = "0.0~" + at.UTC().Format("20060102150405") + "." + harmless(describe)
	}
	if dirty {
		version += "+dirty"
	}
	return version
}

// harmless keeps what Debian allows in a version.
func harmless(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r == '.' {
			return r
		}
		return '.'
	}, s)
}
