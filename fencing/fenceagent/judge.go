package fenceagent

import (
	"fmt"
	"regexp"
	"strings"

	"bascule/fencing"
	"bascule/ha"
)

// The exit statuses of the FenceAgentAPI. 2 is also what shells and Python end with when they cannot run a script.
const (
	exitOK     = 0
	exitFailed = 1
	exitOff    = 2
)

// judge says what the end of an agent means. For off and on only the error counts.
func judge(action string, end ending, exitStatusOnly bool) (ha.Power, error) {
	if err := complaint(action, end); err != nil {
		return ha.PowerUnknown, err
	}
	if action != actionStatus {
		if end.code == exitOK {
			return ha.PowerUnknown, nil
		}
		return ha.PowerUnknown, rubbish(end)
	}
	word, words := statusWord(end.stdout)
	switch {
	case end.overlong || words > 1:
		return ha.PowerUnknown, fmt.Errorf("%w: the agent said too much for one status", fencing.ErrRubbish)
	case end.code == exitOK && word == "ON":
		return ha.PowerOn, nil
	case end.code == exitOff && word == "OFF":
		return ha.PowerOff, nil
	case words > 0 || !exitStatusOnly:
		return ha.PowerUnknown, rubbish(end)
	case end.stderr != "": // a script that could not be run complains here
		return ha.PowerUnknown, rubbish(end)
	case end.code == exitOK:
		return ha.PowerOn, nil
	case end.code == exitOff:
		return ha.PowerOff, nil
	}
	return ha.PowerUnknown, rubbish(end)
}

// statusWord returns the word of the line "Status: WORD" and how many such lines there are.
func statusWord(stdout string) (word string, n int) {
	for line := range strings.Lines(stdout) {
		if w, ok := strings.CutPrefix(strings.TrimSpace(line), "Status:"); ok {
			word, n = strings.TrimSpace(w), n+1
		}
	}
	return word, n
}

func rubbish(end ending) error {
	return fmt.Errorf("%w: the agent ended with exit status %d, which does not go with what it said%s", fencing.ErrRubbish, end.code, saying(end))
}

// ignoring is what ClusterLabs' library says of an option that it leaves out.
var ignoring = regexp.MustCompile(`(?i)parse error: (ignoring[^\n]*)`)

// complaint is what went wrong by the agent's own word, or by an exit status that is always an error.
func complaint(action string, end ending) error {
	if m := ignoring.FindStringSubmatch(end.stderr + "\n" + end.stdout); m != nil { // it went on without: perhaps with another outlet
		return fmt.Errorf("%w: the agent does not know one of the options, or not this value: %s", fencing.ErrSettings, fencing.Printable(m[1], 120))
	}
	low := strings.ToLower(end.stderr + "\n" + end.stdout)
	switch {
	case end.code == 125:
		return fmt.Errorf("%w: the agent was not started", fencing.ErrHelper)
	case end.code == 126 || end.code == 127:
		return fmt.Errorf("%w: the agent, its interpreter or a program that it needs cannot be run%s", fencing.ErrHelper, saying(end))
	case end.code > 128:
		return fmt.Errorf("%w: signal %d ended the agent%s", fencing.ErrHelper, end.code-128, saying(end))
	case strings.Contains(low, "traceback (most recent call last)") && end.code == exitFailed:
		return fmt.Errorf("%w: the agent crashed%s", fencing.ErrRubbish, saying(end))
	case end.code != exitFailed:
		return nil
	}
	low = strings.ToLower(complaints(end))
	for _, k := range known {
		if strings.Contains(low, k.text) {
			return fmt.Errorf("%w: %s%s", k.kind, said(end), k.note)
		}
	}
	if action == actionStatus {
		return fmt.Errorf("%w: the agent failed%s", fencing.ErrRubbish, saying(end))
	}
	return fmt.Errorf("%w: the agent failed%s", fencing.ErrRefused, saying(end))
}
