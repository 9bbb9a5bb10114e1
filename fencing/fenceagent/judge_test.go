package fenceagent_test

import (
	"errors"
	"strings"
	"testing"

	"bascule/fencing"
	"bascule/fencing/fenceagent"
	"bascule/ha"
)

type ending = fenceagent.Ending

func TestOnlyStatusAndWordTogetherAreOff(t *testing.T) {
	for _, c := range []struct {
		name string
		end  ending
		bare bool // exit_status_only
		want ha.Power
		err  error
	}{
		{"on", ending{Stdout: "Status: ON\n"}, false, ha.PowerOn, nil},
		{"off", ending{Code: 2, Stdout: "Status: OFF\n"}, false, ha.PowerOff, nil},
		{"off with warnings", ending{Code: 2, Stdout: "x\n Status: OFF\r\n", Stderr: "DeprecationWarning: 'pipes' is deprecated\n"}, false, ha.PowerOff, nil},
		{"on by word, off by status", ending{Code: 2, Stdout: "Status: ON\n"}, false, ha.PowerUnknown, fencing.ErrRubbish},
		{"off by word, on by status", ending{Stdout: "Status: OFF\n"}, false, ha.PowerUnknown, fencing.ErrRubbish},
		{"off by word, failed", ending{Code: 1, Stdout: "Status: OFF\n"}, false, ha.PowerUnknown, fencing.ErrRubbish},
		{"two words", ending{Code: 2, Stdout: "Status: ON\nStatus: OFF\n"}, false, ha.PowerUnknown, fencing.ErrRubbish},
		{"lower case", ending{Code: 2, Stdout: "Status: off\n"}, false, ha.PowerUnknown, fencing.ErrRubbish},
		{"longer word", ending{Code: 2, Stdout: "Status: OFFLINE\n"}, false, ha.PowerUnknown, fencing.ErrRubbish},
		{"the word on stderr", ending{Code: 2, Stderr: "Status: OFF\n"}, false, ha.PowerUnknown, fencing.ErrRubbish},
		{"more than is kept", ending{Code: 2, Stdout: "Status: OFF\n", Overlong: true}, false, ha.PowerUnknown, fencing.ErrRubbish},
		{"no word", ending{Code: 2}, false, ha.PowerUnknown, fencing.ErrRubbish},
		{"a shell's syntax error", ending{Code: 2, Stderr: "fence_x: 3: Syntax error: end of file unexpected\n"}, false, ha.PowerUnknown, fencing.ErrRubbish},
		{"bare: off", ending{Code: 2}, true, ha.PowerOff, nil},
		{"bare: on", ending{}, true, ha.PowerOn, nil},
		{"bare: another word", ending{Code: 2, Stdout: "Status: ON\n"}, true, ha.PowerUnknown, fencing.ErrRubbish},
		{"bare: a shell's syntax error", ending{Code: 2, Stderr: "fence_x: 3: Syntax error: end of file unexpected\n"}, true, ha.PowerUnknown, fencing.ErrRubbish},
		{"bare: failed", ending{Code: 1}, true, ha.PowerUnknown, fencing.ErrRubbish},
		{"another status", ending{Code: 3}, true, ha.PowerUnknown, fencing.ErrRubbish},
		{"no interpreter", ending{Code: 127, Stderr: "sh: 1: fence_x: not found\n"}, true, ha.PowerUnknown, fencing.ErrHelper},
		{"killed", ending{Code: 137}, true, ha.PowerUnknown, fencing.ErrHelper},
		{"not started", ending{Code: 125}, true, ha.PowerUnknown, fencing.ErrHelper},
		{"an option ignored", ending{Code: 2, Stdout: "Status: OFF\n", Stderr: "WARNING:root:Parse error: Ignoring unknown option 'plgu=3'\n\n"}, false, ha.PowerUnknown, fencing.ErrSettings},
	} {
		p, err := fenceagent.Judge("status", c.end, c.bare)
		if p != c.want || !errors.Is(err, c.err) || (err == nil) != (c.err == nil) {
			t.Errorf("%s: %q, %v; want %q, %v", c.name, p, err, c.want, c.err)
		}
	}
}

// TestWhatAgentsSay: messages as the agents print them, with time and logger.
func TestWhatAgentsSay(t *testing.T) {
	for text, want := range map[string]error{
		"2026-11-22 05:24:01,401 ERROR: Connection timed out\n\n\n":                                                     fencing.ErrTimeout,
		"2026-11-22 05:24:01,403 ERROR: Unable to connect/login to fencing device\n\n\n":                                fencing.ErrUnreachable,
		"ERROR:root:Connection lost\n\n":                                                                                fencing.ErrUnreachable,
		"x ERROR: (7, 'Failed to connect to 10.0.9.2 port 443: Connection refused')\n\nx ERROR: Connection timed out\n": fencing.ErrUnreachable,
		"x ERROR: Failed: You have to set login password\n":                                                             fencing.ErrSettings,
		"x ERROR: Failed: The user does not have the correct privileges to do the requested action.\n":                  fencing.ErrRefused,
		"x ERROR: Failed: Unable to obtain correct plug status or plug is not available\n":                              fencing.ErrRefused,
		"x ERROR: Failed: Timed out waiting to power OFF\n":                                                             fencing.ErrRefused,
		"x ERROR: Failed: Unable to authenticate: no\n":                                                                 fencing.ErrAuth,
		"x ERROR: server returned HTTP 401\n":                                                                           fencing.ErrAuth,
		"root@10.0.9.2: Permission denied (publickey,password).\n":                                                      fencing.ErrAuth,
		"Host key verification failed.\n":                                                                               fencing.ErrUntrusted,
		"Traceback (most recent call last):\n  File \"/usr/sbin/fence_x\"\nConnectionError: Connection refused\n":       fencing.ErrRubbish,
	} {
		noise := ""
		if strings.Contains(text, "ERROR:") { // what is marked is told from what is not
			noise = "/usr/sbin/fence_x:5: DeprecationWarning: timeout forbidden http 401\n"
		}
		for _, action := range []string{"status", "off", "on"} {
			p, err := fenceagent.Judge(action, ending{Code: 1, Stderr: noise + text}, false)
			if p != ha.PowerUnknown || !errors.Is(err, want) {
				t.Errorf("%s: %q: %q, %v; want %v", action, text, p, err, want)
			}
		}
	}
	_, err := fenceagent.Judge("off", ending{Code: 1, Stderr: "a\nx ERROR: out of paper\n\n\nPlease use '-h' for usage\n"}, false)
	if !errors.Is(err, fencing.ErrRefused) || !strings.HasSuffix(err.Error(), "it said: out of paper") {
		t.Errorf("%v; want refused and the agent's own words", err)
	}
}

func TestOnlyExitStatusZeroIsAccepted(t *testing.T) {
	for code := range 256 {
		p, err := fenceagent.Judge("off", ending{Code: code, Stdout: "Success: Powered OFF\nStatus: OFF\n"}, true)
		if p != ha.PowerUnknown || (err == nil) != (code == 0) {
			t.Errorf("off with exit status %d: %q, %v", code, p, err)
		}
	}
}

func FuzzJudge(f *testing.F) {
	f.Add(2, "Status: OFF\n", "", false, false)
	f.Add(0, "Status: ON\n", "DeprecationWarning\n", false, true)
	f.Add(1, "", "2026-11-22 05:24:01,401 ERROR: Connection timed out\n\n", false, false)
	f.Add(2, "Status:", "Parse error: Ignoring unknown option 'a'", true, true)
	f.Add(2, "Status: OFF", "\x83\xc4\xd1PArse error: Ignoring", true, true)
	f.Fuzz(func(t *testing.T, code int, stdout, stderr string, overlong, bare bool) {
		for _, action := range []string{"status", "off", "on"} {
			p, err := fenceagent.Judge(action, ending{code, stdout, stderr, overlong}, bare)
			switch {
			case action != "status" && (p != ha.PowerUnknown || err == nil && code != 0):
				t.Errorf("%s, exit status %d: %q, %v", action, code, p, err)
			case err != nil && p != ha.PowerUnknown:
				t.Errorf("%q with %v", p, err)
			case p == ha.PowerOff && (code != 2 || overlong || strings.Contains(stdout, "Status: ON") || !strings.Contains(stdout, "OFF") && (!bare || stderr != "")):
				t.Errorf("off from exit status %d, %q, %q", code, stdout, stderr)
			case err != nil && len(err.Error()) > 4000:
				t.Errorf("an error of %d bytes", len(err.Error()))
			}
		}
	})
}
