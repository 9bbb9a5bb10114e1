package fencingtest

import (
	"errors"
	"maps"
	"os"
	"strings"
	"testing"

	"bascule/fencing"
)

// strictSettings demands that a method refuses what is unknown, missing or empty, and says what to write. good are settings that it takes.
func strictSettings(t *testing.T, m fencing.Method, good map[string]string) {
	try := func(what string, settings map[string]string, name string) {
		t.Helper()
		_, err := fencing.Methods{m}.Open(fencing.Spec{Name: "d", Node: "node2", Method: m.Name, Settings: settings})
		if !errors.Is(err, fencing.ErrSettings) || !strings.Contains(err.Error(), `"`+name+`"`) {
			t.Errorf("%s: %v, want settings not usable and the name %q", what, err, name)
		}
	}
	odd := maps.Clone(good)
	odd["colour"] = "blue"
	try("an unknown setting", odd, "colour")
	for _, k := range m.Keys {
		if k.Doc == "" {
			t.Errorf("setting %q has no text that says what to write", k.Name)
		}
		if !k.Required {
			continue
		}
		less := maps.Clone(good)
		delete(less, k.Name)
		try("without "+k.Name, less, k.Name)
		less[k.Name] = " "
		try("with an empty "+k.Name, less, k.Name)
	}
}

// Setting is one setting as an operator might write it, and what a method says to it: its name, its value, and a part of the error; empty:
// accepted.
type Setting [3]string

// Hunter2 is what cases of TrySettings write where a secret may be written by mistake.
const Hunter2 = "hunter2"

// TrySettings opens a device with each of these settings, in or beside good ones, which are taken. Errors never show Hunter2.
func TrySettings(t *testing.T, m fencing.Method, good map[string]string, cases []Setting) {
	t.Helper()
	for _, c := range append([]Setting{{}}, cases...) {
		name, value, want := c[0], c[1], c[2]
		settings := maps.Clone(good)
		if name != "" {
			settings[name] = value
		}
		_, err := fencing.Methods{m}.Open(fencing.Spec{Name: "d", Node: "node2", Method: m.Name, Settings: settings})
		if want == "" && err != nil || want != "" && !refuses(err, want) {
			t.Errorf("%s: %q: %v, want %q", name, value, err, want)
		}
		if err != nil && (strings.Contains(err.Error(), Hunter2) || strings.Contains(err.Error(), "\n")) {
			t.Errorf("%s: a secret or a line break shows: %q", name, err)
		}
	}
}

// refuses says whether settings are refused with this text.
func refuses(err error, want string) bool {
	return errors.Is(err, fencing.ErrSettings) && strings.Contains(err.Error(), want)
}

// TrySecretFiles reads a device whose settings name files with this secret, and files that are not as they must be. read is a read with
// such settings: a missing or wrong file never keeps a device from being opened.
func TrySecretFiles(t *testing.T, secret string, read func(file string) error) {
	t.Helper()
	for _, c := range []struct {
		what, content string
		mode          os.FileMode
		want          string // part of the error; empty: works
	}{
		{"as it should be", secret, 0o600, ""},
		{"with a line end", secret + "\r\n", 0o400, ""},
		{"readable by the group", secret, 0o640, "chmod 0600"},
		{"readable by all", secret, 0o644, "chmod 0600"},
		{"empty", "\n", 0o600, "on one line"},
		{"two lines", secret + "\nmore\n", 0o600, "on one line"},
	} {
		err := read(file(t, "secret", c.content, c.mode))
		if c.want == "" && err != nil || c.want != "" && !refuses(err, c.want) {
			t.Errorf("%s: %v, want %q", c.what, err, c.want)
		}
	}
	for _, path := range []string{t.TempDir(), "/nonexistent/secret"} {
		if err := read(path); !errors.Is(err, fencing.ErrSettings) {
			t.Errorf("%s: %v", path, err)
		}
	}
}
