package fenceagent

import "bascule/fencing"

// Notes to messages that leave open what is wrong.
const (
	noLogin  = " (the agent does not say whether the device is out of reach or refuses user or password)"
	noStatus = " (the agent does not say whether the device refuses user or password, has no such plug, or is at fault)"
)

// known are messages of agents in lower case, the telling ones first. They come from ClusterLabs' library (fail() in fencing.py),
// from its agents, and from what these start: ssh, ipmitool, curl, snmpget.
var known = []struct {
	text string
	kind error
	note string
}{
	{"you have to set", fencing.ErrSettings, ""},
	{"you have to enter", fencing.ErrSettings, ""},
	{"unable to run", fencing.ErrSettings, ""},
	{"not found or not accessible", fencing.ErrSettings, ""},
	{"is not supported by this agent", fencing.ErrSettings, ""},
	{"unrecognised action", fencing.ErrSettings, ""},

	{"does not have the correct privileges", fencing.ErrRefused, ""},
	{"insufficient privilege", fencing.ErrRefused, ""},
	{"forbidden", fencing.ErrRefused, ""},
	{"timed out waiting to power", fencing.ErrRefused, ": the device took the command and the power did not change"},

	{"authentication fail", fencing.ErrAuth, ""},
	{"unable to authenticate", fencing.ErrAuth, ""},
	{"unauthorized", fencing.ErrAuth, ""},
	{"permission denied", fencing.ErrAuth, ""},
	{"access denied", fencing.ErrAuth, ""},
	{"login failed", fencing.ErrAuth, ""},
	{"login incorrect", fencing.ErrAuth, ""},
	{"incorrect password", fencing.ErrAuth, ""},
	{"incorrect username or password", fencing.ErrAuth, ""},
	{"invalid credentials", fencing.ErrAuth, ""},
	{"incorrect access key", fencing.ErrAuth, ""},
	{"rakp 2 ", fencing.ErrAuth, ""},
	{"http 401", fencing.ErrAuth, ""},
	{"status code 401", fencing.ErrAuth, ""},

	{"certificate verif", fencing.ErrUntrusted, ""},
	{"ssl certificate problem", fencing.ErrUntrusted, ""},
	{"host key verification failed", fencing.ErrUntrusted, ""},

	{"connection refused", fencing.ErrUnreachable, ""},
	{"no route to host", fencing.ErrUnreachable, ""},
	{"network is unreachable", fencing.ErrUnreachable, ""},
	{"name or service not known", fencing.ErrUnreachable, ""},
	{"could not resolve", fencing.ErrUnreachable, ""},
	{"failed to connect", fencing.ErrUnreachable, ""},
	{"couldn't connect", fencing.ErrUnreachable, ""},
	{"connection lost", fencing.ErrUnreachable, ""},

	{"timed out", fencing.ErrTimeout, ""},
	{"timeout", fencing.ErrTimeout, ""},

	{"unable to connect/login", fencing.ErrUnreachable, noLogin},
	{"unable to connect", fencing.ErrUnreachable, ""},
	{"unable to obtain correct plug status", fencing.ErrRefused, noStatus},
}
