package config

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// decodeScalar stores a string, a whole number or a truth value.
func (s *source) decodeScalar(n *yaml.Node, v reflect.Value, path string, f field) {
	if isNull(n) {
		s.fail(path, "has no value; write %s: %s, or remove the line", f.key, oneLine(f.sample()))
		return
	}
	switch v.Kind() {
	case reflect.String:
		s.decodeString(n, v, path, f)
	case reflect.Bool:
		if n.Tag != "!!bool" {
			s.fail(path, "is %s, but true or false is wanted; write %s: true or %s: false, without quotes", shown(n), f.key, f.key)
			return
		}
		v.SetBool(strings.EqualFold(n.Value, "true"))
	case reflect.Int:
		s.decodeInt(n, v, path, f)
	default:
		panic("config: no decoder for " + v.Type().String()) // a mistake in this package's types
	}
}

// none is the default of settings that may be empty.
const none = "<none>"

// inSettings says whether the path lies in a fencing device's settings, whose values may be secret and keep their text.
func inSettings(path string) bool { return strings.Contains(path, "].settings.") }

func (s *source) decodeString(n *yaml.Node, v reflect.Value, path string, f field) {
	if n.Tag != "!!str" && !inSettings(path) {
		s.fail(path, "is %s, which YAML does not read as text; write it in quotes: %q", shown(n), n.Value)
		return
	}
	if n.Value == "" && !inSettings(path) && f.def != none {
		s.fail(path, "is empty; write %s: %s, or remove the line", f.key, oneLine(f.sample()))
		return
	}
	if len(f.enum) > 0 && !slices.Contains(f.enum, n.Value) {
		s.fail(path, "is %s; write %s", shown(n), orList(f.enum))
		return
	}
	v.SetString(n.Value)
}

func (s *source) decodeInt(n *yaml.Node, v reflect.Value, path string, f field) {
	i, err := strconv.Atoi(n.Value)
	if n.Tag != "!!int" || err != nil {
		hint := "write a whole number such as " + oneLine(f.sample())
		if err == nil {
			hint = fmt.Sprintf("write %d without quotes", i)
		}
		s.fail(path, "is %s, but a whole number is wanted; %s", shown(n), hint)
		return
	}
	if f.max != "" {
		lo, _ := strconv.Atoi(f.min)
		hi, _ := strconv.Atoi(f.max)
		if i < lo || i > hi {
			s.fail(path, "is %d; write a number from %d to %d", i, lo, hi)
			return
		}
	}
	v.SetInt(int64(i))
}

func (s *source) decodeDuration(n *yaml.Node, v reflect.Value, path string, f field) {
	if isNull(n) {
		s.fail(path, "has no value; write %s: %s, or remove the line", f.key, f.sample())
		return
	}
	d, err := parseDuration(n.Value)
	if err != nil {
		s.fail(path, "%v", err)
		return
	}
	if f.max != "" {
		lo, _ := time.ParseDuration(f.min)
		hi, _ := time.ParseDuration(f.max)
		if d < lo || d > hi {
			s.fail(path, "is %s; write a time from %s to %s", n.Value, f.min, f.max)
			return
		}
	}
	v.SetInt(int64(d))
}

// parseDuration reads Go's notation and says what to write where a text is not in it.
func parseDuration(text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if err == nil {
		return d, nil
	}
	if _, numErr := strconv.ParseFloat(text, 64); numErr == nil {
		return 0, fmt.Errorf("%q has no unit; write \"%sms\" or \"%ss\"", text, text, text)
	}
	return 0, errors.New(strconv.Quote(cut(text)) + " is not a time; write a number and a unit, such as 250ms, 5s or 1m30s")
}

// shown repeats what was written, short.
func shown(n *yaml.Node) string {
	if n.Tag == "!!str" {
		return strconv.Quote(cut(n.Value))
	}
	return cut(n.Value)
}

// cut shortens a text for a message.
func cut(s string) string {
	const most = 40
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}

// orList joins words: "a, b or c".
func orList(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " or " + words[len(words)-1]
}
