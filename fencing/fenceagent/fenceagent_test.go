package fenceagent_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"bascule/fencing"
	"bascule/fencing/fenceagent"
	"bascule/fencing/fencingtest"
	"bascule/ha"
)

// roleRead in the environment makes this test binary read the device whose settings are on its standard input.
const roleRead = "BASCULE_TEST_FENCE_READ"

func TestMain(m *testing.M) {
	if os.Getenv(roleRead) != "" {
		var s map[string]string
		if err := json.NewDecoder(os.Stdin).Decode(&s); err != nil {
			panic(err)
		}
		d, err := fenceagent.Method.Power(s)
		if err != nil {
			panic(err)
		}
		fmt.Println(d.Read(context.Background()))
		os.Exit(0)
	}
	fencingtest.Main(m, fenceagent.Method)
}

func open(t *testing.T, settings map[string]string) fencing.PowerDevice {
	t.Helper()
	d, err := fenceagent.Method.Power(settings)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

var timeLimit = fencingtest.Within

// TestConforms runs the suite. Agents know neither a system UUID nor a word for powering off, which the suite asks for: the
// labelled method adds both from outside, and demands that the agent's own reading has neither.
func TestConforms(t *testing.T) {
	fakes := map[string]*fake{}
	fencingtest.Run(t, fencingtest.Harness[fencingtest.Machine]{
		Method: labelled(t, fakes),
		New: func(t *testing.T) (fencingtest.Machine, map[string]string) {
			f := newFake(t)
			fakes[f.path("fence_fake")] = f
			return f, f.settings()
		},
		Switch:  fencingtest.Child().Switch,
		Secrets: []string{password, strings.TrimSpace(password), `pa'ss`, `7c1e`},
	})
}

func labelled(t *testing.T, fakes map[string]*fake) fencing.Method {
	m := fenceagent.Method
	m.Power = func(s map[string]string) (fencing.PowerDevice, error) {
		d, err := fenceagent.Method.Power(s)
		return label{d, t, fakes[s["agent"]]}, err
	}
	return m
}

type label struct {
	fencing.PowerDevice
	t *testing.T
	f *fake
}

func (l label) Read(ctx context.Context) (fencing.Reading, error) {
	before := l.f.Power()
	r, err := l.PowerDevice.Read(ctx)
	if r.SystemUUID != "" {
		l.t.Errorf("an agent told the system UUID %q", r.SystemUUID)
	}
	if err != nil {
		return r, err
	}
	r.SystemUUID = fencingtest.UUID
	if l.f.read("fault") == string(fencingtest.OtherMachine) {
		r.SystemUUID = fencingtest.OtherUUID
	}
	if before == ha.PowerPoweringOff {
		if r.Power != ha.PowerOn {
			l.t.Errorf("powering off reads %q, want on: it is not off yet", r.Power)
		}
		r.Power = ha.PowerPoweringOff
	}
	return r, err
}

func TestNoSystemUUIDIsMadeUp(t *testing.T) {
	f := newFake(t)
	r, err := open(t, f.settings()).Read(timeLimit(t, 40*time.Second))
	if err != nil || r != (fencing.Reading{Power: ha.PowerOn}) {
		t.Errorf("%+v, %v; want on and nothing else", r, err)
	}
}

func TestAnUnknownOptionIsNoReading(t *testing.T) {
	f := newFake(t)
	s := f.settings()
	s["option.plugh"] = "8"
	d := open(t, s)
	if r, err := d.Read(timeLimit(t, 40*time.Second)); !errors.Is(err, fencing.ErrSettings) || !strings.Contains(err.Error(), "plugh=8") || r.Power != ha.PowerUnknown {
		t.Errorf("%+v, %v; want settings and the option", r, err)
	}
	delete(s, "option.plugh")
	s["secret.pasword"] = f.path("secret")
	if _, err := open(t, s).Read(timeLimit(t, 40*time.Second)); !errors.Is(err, fencing.ErrSettings) || !strings.Contains(err.Error(), "pasword=") || strings.Contains(err.Error(), "7c1e") {
		t.Errorf("%v; want settings and the option without its value", err)
	}
}

// TestWhatTheAgentGets: the secret arrives byte for byte (quoted against the library's trimming), and the environment is fixed.
func TestWhatTheAgentGets(t *testing.T) {
	f := newFake(t)
	f.write("fence_fake", "#!/bin/sh\ncd \"${0%/*}\"; cat >input; env | sort >environment; pwd -P >cwd; echo 'Status: ON'\n", 0o755)
	t.Setenv("BASCULE_PASSWORD", "hunter2")
	if _, err := open(t, f.settings()).Read(timeLimit(t, 40*time.Second)); err != nil {
		t.Fatal(err)
	}
	if want := "action=status\nplug=7\nusername=fence-operator\npassword=\"" + password + "\""; f.read("input") != want {
		t.Errorf("input %q, want %q", f.read("input"), want)
	}
	var extra []string
	for _, v := range strings.Fields(f.read("environment")) {
		if name, _, _ := strings.Cut(v, "="); name != "PWD" && name != "OLDPWD" && name != "_" { // the shell's own
			extra = append(extra, v)
		}
	}
	if want := "HOME=/root LANG=C PATH=/usr/sbin:/usr/bin:/sbin:/bin"; strings.Join(extra, " ") != want {
		t.Errorf("environment %q, want %q", extra, want)
	}
}
