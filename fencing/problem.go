package fencing

import (
	"fmt"
	"strings"
	"unicode"

	"bascule/ha"
)

// maxText bounds what a device can put into our sentences, in characters.
const maxText = 300

// problem is the sentence for the operator: which device, what was tried, why it failed, what to do next.
func problem(s Spec, action ha.DeviceAction, err error, secrets []string) string {
	kind := Classify(err)
	why := err.Error()
	if !strings.Contains(why, kind.Error()) {
		why = kind.Error() + ": " + why
	}
	for _, secret := range secrets {
		why = strings.ReplaceAll(why, secret, "(secret)")
	}
	advice := ""
	for _, k := range kinds {
		if k.err == kind {
			advice = strings.ReplaceAll(k.advice, "NODE", string(s.Node))
		}
	}
	return fmt.Sprintf("fencing device %q of %s (%s): %s failed: %s. Next: %s.",
		s.Name, s.Node, s.Method, doing(action), strings.TrimRight(Printable(why, maxText), ". "), advice)
}

// FaultOf names the kind of error that a reading's Problem is about ("rights", "unreachable", …); "" where it is none of this package's.
func FaultOf(problem string) string {
	for _, k := range kinds {
		if strings.Contains(problem, k.err.Error()) {
			return k.name
		}
	}
	return ""
}

func doing(a ha.DeviceAction) string {
	switch a {
	case ha.DeviceRead:
		return "reading it"
	case ha.DeviceOff:
		return "switching off"
	case ha.DeviceOn:
		return "switching on"
	case ha.DeviceRevoke:
		return "taking its access to storages away"
	case ha.DeviceRestore:
		return "giving its access to storages back"
	case ha.DevicePoison:
		return "writing its poison pill"
	case ha.DeviceReset:
		return "having it reset"
	}
	return fmt.Sprintf("action %q", string(a))
}

// Printable makes text of a device fit for a log line and a terminal: control and other unprintable characters
// become spaces, runs of white space one space, and it ends after max characters.
func Printable(s string, max int) string {
	var b strings.Builder
	n, space := 0, false
	for _, r := range s {
		if unicode.IsSpace(r) || !unicode.IsPrint(r) {
			space = b.Len() > 0
			continue
		}
		if n >= max {
			return b.String() + "…"
		}
		if space {
			b.WriteByte(' ')
			n, space = n+1, false
		}
		b.WriteRune(r)
		n++
	}
	return b.String()
}
