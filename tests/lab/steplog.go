package lab

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"
)

// LogLine is one line of a program's log.
type LogLine struct {
	Node   string // whose log it is
	At     time.Time
	Msg    string
	Fields map[string]string
}

// LogMark is a place in the logs that one program writes on the nodes.
type LogMark struct {
	role    string
	at      time.Time
	offsets map[string]int64
}

// MarkLogs returns the present ends of all basculeds' logs.
func (l *Lab) MarkLogs() LogMark { return l.MarkLogsOf("basculed") }

// MarkLogsOf returns the present ends of the logs of one program, guard or basculed.
func (l *Lab) MarkLogsOf(role string) LogMark {
	m := LogMark{role: role, at: time.Now(), offsets: map[string]int64{}}
	for _, name := range l.Names() {
		if info, err := os.Stat(l.programLog(name, role)); err == nil {
			m.offsets[name] = info.Size()
		}
	}
	return m
}

func (l *Lab) programLog(node, role string) string { return l.Node(node, "log", role+".log") }

// LogsSince returns what the mark's program has logged on every node since then, node by node. A line that is no line of the log's is left out.
func (l *Lab) LogsSince(m LogMark) ([]LogLine, error) {
	var out []LogLine
	for _, name := range l.Names() {
		lines, err := logLines(l.programLog(name, m.role), m.offsets[name])
		if err != nil {
			return nil, err
		}
		for _, text := range lines {
			if line, ok := parseLogLine(text, m.at); ok {
				line.Node = name
				out = append(out, line)
			}
		}
	}
	return out, nil
}

func logLines(path string, offset int64) ([]string, error) {
	f, err := os.Open(path)
	if err == nil {
		defer f.Close()
		_, err = f.Seek(offset, io.SeekStart)
	}
	if err != nil {
		return nil, fmt.Errorf("a daemon's log cannot be read: %w", err)
	}
	var out []string
	in := bufio.NewReader(f)
	for {
		text, err := in.ReadString('\n')
		if err != nil {
			return out, nil // the last line is still being written
		}
		out = append(out, strings.TrimSuffix(text, "\n"))
	}
}

// logClock is the clock of a text log: it has no date, which the mark has.
const logClock = "15:04:05.000"

// parseLogLine reads `time="15:04:05.000" level=info msg="…" key=value …`. The line was written at or after the mark.
func parseLogLine(text string, mark time.Time) (LogLine, bool) {
	line := LogLine{Fields: map[string]string{}}
	for text = strings.TrimSpace(text); text != ""; text = strings.TrimLeft(text, " ") {
		key, rest, ok := strings.Cut(text, "=")
		if !ok {
			return line, false
		}
		var value string
		if strings.HasPrefix(rest, `"`) {
			quoted, err := strconv.QuotedPrefix(rest)
			if err != nil {
				return line, false
			}
			value, err = strconv.Unquote(quoted)
			if err != nil {
				return line, false
			}
			text = rest[len(quoted):]
		} else {
			value, text, _ = strings.Cut(rest, " ")
		}
		line.Fields[key] = value
	}
	clock, err := time.Parse(logClock, line.Fields["time"])
	if err != nil {
		return line, false
	}
	line.Msg = line.Fields["msg"]
	day := time.Date(mark.Year(), mark.Month(), mark.Day(), 0, 0, 0, 0, mark.Location())
	line.At = day.Add(clock.Sub(time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC)))
	if mark.Sub(line.At) > 12*time.Hour { // midnight has passed
		line.At = line.At.AddDate(0, 0, 1)
	}
	return line, true
}
