package fenceagent

import (
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"strings"

	"bascule/fencing"
)

// Method is fencing through a fence agent.
var Method = fencing.Method{
	Name:  "fence-agent",
	Keys:  keys,
	Power: open,
}

// The settings whose names do not stand for themselves: what follows the prefix is the agent's.
const (
	optionPrefix = "option."
	secretPrefix = "secret."
)

// keys are the settings that the method knows. The last two stand for as many as the agent needs.
var keys = []fencing.Key{
	{Name: "agent", Required: true, Doc: "the agent's name, such as fence_ipmilan, or its absolute path"},
	{Name: "exit_status_only", Doc: `"true" for an agent that prints no "Status: ON" or "Status: OFF"`},
	{Name: optionPrefix + "NAME", Doc: "an option of the agent, such as option.ip: 10.0.9.2; the agent lists them with -o metadata"},
	{Name: secretPrefix + "NAME", Doc: "an option that is secret, such as secret.password: a file that holds only its value, readable by root alone (mode 0600)"},
}

// settings are the parsed settings of one device.
type settings struct {
	agent          string
	exitStatusOnly bool
	options        map[string]string // name: value
	secrets        map[string]string // name: file
}

// agentName is what a program that is looked up may be called.
var agentName = regexp.MustCompile(`^fence_[A-Za-z0-9_.-]+$`)

func open(raw map[string]string) (fencing.PowerDevice, error) {
	fixed := maps.Clone(raw)
	s := settings{options: map[string]string{}, secrets: map[string]string{}}
	for key, value := range raw {
		if name, ok := strings.CutPrefix(key, optionPrefix); ok {
			s.options[name] = value
			delete(fixed, key)
		} else if name, ok := strings.CutPrefix(key, secretPrefix); ok {
			s.secrets[name] = value
			delete(fixed, key)
		}
	}
	if err := fencing.CheckSettings(keys, fixed); err != nil {
		return nil, err
	}
	s.agent = fixed["agent"]
	if !agentName.MatchString(s.agent) && (!filepath.IsAbs(s.agent) || filepath.Clean(s.agent) != s.agent || hasControl(s.agent)) {
		return nil, fmt.Errorf(`%w: setting "agent" is %q: write a name such as fence_ipmilan, or the absolute path of the program`, fencing.ErrSettings, fencing.Printable(s.agent, 80))
	}
	if v, given := fixed["exit_status_only"]; given && v != "true" {
		return nil, fmt.Errorf(`%w: setting "exit_status_only" is %q: write "true", or remove it`, fencing.ErrSettings, fencing.Printable(v, 80))
	}
	s.exitStatusOnly = fixed["exit_status_only"] != ""
	if err := s.checkOptions(); err != nil {
		return nil, err
	}
	return &device{s: s}, nil
}
