package main

import (
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/fatih/color"
	"github.com/jedib0t/go-pretty/v6/text"
	"golang.org/x/sys/unix"

	"bascule/ha"
	"bascule/ha/api"
)

// screen is an output with what hactl knows of it: a terminal or not, its size, whether it shows colours.
type screen struct {
	io.Writer
	file   *os.File // nil: no file behind it
	tty    bool
	colour bool
}

const plainWidth = 100 // columns where no terminal and no COLUMNS say otherwise

func newScreen(w io.Writer) *screen {
	s := &screen{Writer: w}
	if f, ok := w.(*os.File); ok {
		s.file = f
		s.tty = isTerminal(f)
	}
	_, never := os.LookupEnv("NO_COLOR")
	s.colour = s.tty && !never && os.Getenv("TERM") != "dumb"
	return s
}

func isTerminal(f *os.File) bool {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

// size returns columns and rows; rows 0 where there is no terminal.
func (s *screen) size() (columns, rows int) {
	if s.tty {
		if ws, err := unix.IoctlGetWinsize(int(s.file.Fd()), unix.TIOCGWINSZ); err == nil && ws.Col > 0 {
			return int(ws.Col), int(ws.Row)
		}
	}
	if n, err := strconv.Atoi(os.Getenv("COLUMNS")); err == nil && n >= 40 {
		return n, 0
	}
	return plainWidth, 0
}

// paint colours text for this screen, or leaves it alone.
func (s *screen) paint(t string, attrs ...color.Attribute) string {
	if !s.colour || t == "" || len(attrs) == 0 {
		return t
	}
	c := color.New(attrs...)
	c.EnableColor() // decided per screen, not by the library's global
	return c.Sprint(t)
}

func (s *screen) bold(t string) string { return s.paint(t, color.Bold) }
func (s *screen) dim(t string) string  { return s.paint(t, color.Faint) }

// wrapped breaks text into lines of the screen's width; the first begins with `first`, the others with as many blanks.
func (s *screen) wrapped(first, t string) string {
	columns, _ := s.size()
	indent := text.StringWidthWithoutEscSequences(first)
	room := max(20, columns-indent)
	return first + strings.Join(wrap(t, room), "\n"+strings.Repeat(" ", indent)) + "\n"
}

// wrap breaks text at blanks; words longer than the room are broken anywhere.
func wrap(t string, room int) []string {
	var lines []string
	line := ""
	for _, w := range strings.Fields(t) {
		for text.StringWidth(w) > room {
			cut := room
			if line != "" {
				lines, line = append(lines, line), ""
			}
			r := []rune(w)
			lines, w = append(lines, string(r[:cut])), string(r[cut:])
		}
		switch {
		case line == "":
			line = w
		case text.StringWidth(line)+1+text.StringWidth(w) <= room:
			line += " " + w
		default:
			lines, line = append(lines, line), w
		}
	}
	return append(lines, line)
}

// complain tells what went wrong and what to do.
func (s *screen) complain(what, do string) {
	io.WriteString(s, s.wrapped(s.paint("hactl: ", color.FgRed, color.Bold), what))
	if do != "" {
		io.WriteString(s, s.wrapped(s.bold("   do: "), do))
	}
}

// nodeColour and guestColour: green runs, yellow moves or waits, red is dead or given up, cyan is wanted rest.
func nodeColour(st ha.NodeState) []color.Attribute {
	switch st {
	case ha.NodeOnline:
		return []color.Attribute{color.FgGreen}
	case ha.NodeFencing:
		return []color.Attribute{color.FgRed, color.Bold}
	case ha.NodeFenced:
		return []color.Attribute{color.FgRed}
	case ha.NodeMaintenance, ha.NodeOffline, ha.NodeDraining:
		return []color.Attribute{color.FgCyan}
	}
	return []color.Attribute{color.FgYellow}
}

func guestColour(st ha.GuestState) []color.Attribute {
	switch st {
	case ha.GuestStarted:
		return []color.Attribute{color.FgGreen}
	case ha.GuestError:
		return []color.Attribute{color.FgRed, color.Bold}
	case ha.GuestFence, ha.GuestRecovery:
		return []color.Attribute{color.FgRed}
	case ha.GuestStopped, ha.GuestFrozen, ha.GuestUnprotected:
		return []color.Attribute{color.FgCyan}
	}
	return []color.Attribute{color.FgYellow}
}

func severityColour(sev api.Severity) []color.Attribute {
	switch sev {
	case api.Critical:
		return []color.Attribute{color.FgRed, color.Bold}
	case api.Warning:
		return []color.Attribute{color.FgYellow, color.Bold}
	}
	return []color.Attribute{color.FgCyan}
}

func healthColour(h api.Health) []color.Attribute {
	switch h {
	case api.HealthOK:
		return []color.Attribute{color.FgGreen, color.Bold}
	case api.HealthDegraded:
		return []color.Attribute{color.FgRed, color.Bold}
	}
	return []color.Attribute{color.FgYellow, color.Bold}
}

// row is a line of fixed cells with text after them; where little room is left the text goes below, indented.
func (s *screen) row(cells, t string) string {
	columns, _ := s.size()
	if columns-text.StringWidthWithoutEscSequences(cells) >= minNote {
		return s.wrapped(cells, t)
	}
	return strings.TrimRight(cells, " ") + "\n" + s.wrapped("    ", t)
}

// eventColour is that of the state that an event leads to.
func eventColour(e api.StoredEvent) []color.Attribute {
	switch {
	case e.Guest != 0:
		return guestColour(ha.GuestState(e.To))
	case e.Node != "":
		return nodeColour(ha.NodeState(e.To))
	}
	return []color.Attribute{color.FgYellow}
}
