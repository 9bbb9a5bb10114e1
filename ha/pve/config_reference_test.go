package pve

import (
	"bytes"
	"strings"

	"bascule/ha"
)

// A second reading of configs, written from PVE's rules byte by byte and without the parser's expressions, to hold the parser against.

type refLine struct {
	text    string
	section int // 0: the main one
	key     string
	value   string
}

const perlSpace = " \t\n\v\f\r"

func lower(c byte) bool { return c >= 'a' && c <= 'z' }
func digit(c byte) bool { return c >= '0' && c <= '9' }

// span returns the length of the beginning of s that consists of such bytes.
func span(s string, fits func(byte) bool) int {
	n := 0
	for n < len(s) && fits(s[n]) {
		n++
	}
	return n
}

// refHeader says whether a line opens a section.
func refHeader(line string) bool {
	line = strings.TrimRight(line, perlSpace)
	if len(line) < 2 || line[0] != '[' || line[len(line)-1] != ']' {
		return false
	}
	letter := func(c byte) bool { return lower(c | 0x20) }
	name := line[1 : len(line)-1]
	if prefix, rest, ok := strings.Cut(name, ":"); ok {
		if prefix == "" || span(prefix, letter) != len(prefix) {
			return false
		}
		name = rest
	}
	return len(name) >= 2 && letter(name[0]) &&
		span(name, func(c byte) bool { return letter(c) || digit(c) || c == '_' || c == '-' }) == len(name)
}

// refKey reads "key: value".
func refKey(kind ha.GuestKind, line string) (string, string) {
	if kind == ha.LXC && strings.HasPrefix(line, "lxc.") {
		n := 4 + span(line[4:], func(c byte) bool { return lower(c) || digit(c) || strings.IndexByte("_-.", c) >= 0 })
		rest := line[n:]
		if n > 4 && strings.HasPrefix(rest, ":") {
			return line[:n], strings.Trim(rest[1:], perlSpace)
		}
		if rest = strings.TrimLeft(rest, perlSpace); n > 4 && strings.HasPrefix(rest, "=") {
			return line[:n], strings.Trim(rest[1:], perlSpace)
		}
	}
	if line == "" || !lower(line[0]) {
		return "", ""
	}
	n := span(line, func(c byte) bool { return lower(c) || c == '_' || (c == '-' && kind == ha.QEMU) })
	n += span(line[n:], digit)
	if n == len(line) || line[n] != ':' {
		return "", ""
	}
	value := strings.Trim(line[n+1:], perlSpace)
	if value == "" {
		return "", ""
	}
	return line[:n], value
}

func reference(kind ha.GuestKind, data []byte) []refLine {
	var lines []refLine
	section := 0
	for _, text := range bytes.SplitAfter(data, []byte("\n")) {
		if len(text) == 0 {
			continue
		}
		l := refLine{text: string(text)}
		body := strings.TrimSuffix(l.text, "\n")
		if refHeader(body) {
			section++
		} else {
			l.key, l.value = refKey(kind, body)
		}
		l.section = section
		lines = append(lines, l)
	}
	return lines
}

// failer is what the checks need of a test.
type failer interface {
	Helper()
	Fatalf(string, ...any)
}

// checkParse holds the parser against the reference and Render against the bytes.
func checkParse(t failer, kind ha.GuestKind, data []byte) {
	t.Helper()
	c := ParseGuestConfig(kind, data)
	if got := c.Render(); !bytes.Equal(got, data) {
		t.Fatalf("Render(Parse(%q)) = %q", data, got)
	}
	want := reference(kind, data)
	i := 0
	for n, s := range c.parts {
		for _, l := range s.lines {
			if w := want[i]; w.section != n || w.text != l.text || w.key != l.key || w.value != l.value {
				t.Fatalf("line %d of %q: got section %d, %q = %q; want section %d, %q = %q", i, data, n, l.key, l.value, w.section, w.key, w.value)
			}
			i++
		}
	}
	if i != len(want) {
		t.Fatalf("%q: %d lines, want %d", data, i, len(want))
	}
}

// checkEdits sets and removes a key and compares with the lines of the reference.
func checkEdits(t failer, kind ha.GuestKind, data []byte, key string) {
	t.Helper()
	const value = "1"
	c := ParseGuestConfig(kind, data)
	removed, set := c.Remove(key), c.Set(key, value)
	if !bytes.Equal(c.Render(), data) {
		t.Fatalf("editing changed the original %q to %q", data, c.Render())
	}
	var without strings.Builder
	before := reference(kind, data)
	last, found := -1, false
	for i, l := range before {
		if l.section == 0 && l.key == key {
			last, found = i, true
			continue
		}
		without.WriteString(l.text)
	}
	if string(removed) != without.String() {
		t.Fatalf("Remove %s of %q = %q, want %q", key, data, removed, without.String())
	}
	if found {
		for i := range before {
			if i == last {
				old := before[i].text
				before[i].text = key + ": " + value + old[len(strings.TrimRight(old, "\r\n")):]
			}
		}
		if got := joined(before); string(set) != got {
			t.Fatalf("Set %s in %q = %q, want %q", key, data, set, got)
		}
	} else {
		checkInserted(t, before, set, key+": "+value)
	}
	if v, _ := ParseGuestConfig(kind, set).Get(key); v != value {
		t.Fatalf("after Set %s in %q = %q it is %q", key, data, set, v)
	}
}

func joined(lines []refLine) string {
	var b strings.Builder
	for _, l := range lines {
		b.WriteString(l.text)
	}
	return b.String()
}

// checkInserted says that exactly the entry was put in, behind the main section's last line that is not blank.
func checkInserted(t failer, before []refLine, set []byte, entry string) {
	t.Helper()
	at := 0
	for i, l := range before {
		if l.section == 0 && strings.Trim(l.text, perlSpace) != "" {
			at = i + 1
		}
	}
	head, tail := joined(before[:at]), joined(before[at:])
	want := head + entry + "\n" + tail
	if head != "" && !strings.HasSuffix(head, "\n") {
		want = head + "\n" + entry + tail
	}
	if string(set) != want {
		t.Fatalf("Set = %q, want %q", set, want)
	}
}
