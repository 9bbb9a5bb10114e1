package main

import (
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
)

// grid is a table without lines whose last column, the note, takes the room that is left and wraps in it.
type grid struct {
	screen *screen
	head   []string
	rows   [][]string
}

func newTable(s *screen, head ...string) *grid { return &grid{screen: s, head: head} }

func (g *grid) row(cells ...string) { g.rows = append(g.rows, cells) }

const (
	gap     = 2  // blanks between columns
	minNote = 24 // columns that a note has at least beside its row; with less it goes below
)

// render lays the table out. The notes' column is left out where there are none.
func (g *grid) render() string {
	columns, _ := g.screen.size()
	room, longest := columns-g.used(), 0
	for _, r := range g.rows {
		longest = max(longest, text.StringWidth(r[len(r)-1]))
	}
	switch {
	case longest == 0:
		return g.without(nil)
	case room < min(longest, minNote):
		return g.without(func(note string) string {
			return "    " + strings.Join(wrap(note, columns-4), "\n    ") + "\n"
		})
	}
	return g.beside(room)
}

// used is the width of all columns but the last.
func (g *grid) used() int {
	sum := 0
	for c := range len(g.head) - 1 {
		widest := text.StringWidth(g.head[c])
		for _, r := range g.rows {
			widest = max(widest, text.StringWidthWithoutEscSequences(r[c]))
		}
		sum += widest + gap
	}
	return sum
}

// beside renders with the notes wrapped in the last column.
func (g *grid) beside(room int) string {
	t := g.writer(len(g.head))
	for _, r := range g.rows {
		cells := append([]string{}, r...)
		cells[len(cells)-1] = strings.Join(wrap(r[len(r)-1], room), "\n")
		t.AppendRow(tableRow(cells))
	}
	return strings.Join(trimmed(t.Render()), "\n") + "\n"
}

// without renders without the last column; below turns a row's note into lines of their own (nil: dropped).
func (g *grid) without(below func(note string) string) string {
	last := len(g.head) - 1
	t := g.writer(last)
	for _, r := range g.rows {
		t.AppendRow(tableRow(r[:last]))
	}
	var b strings.Builder
	for i, line := range trimmed(t.Render()) { // no cell wraps, so line i+1 is row i
		b.WriteString(line + "\n")
		if i > 0 && below != nil && g.rows[i-1][last] != "" {
			b.WriteString(below(g.rows[i-1][last]))
		}
	}
	return b.String()
}

func (g *grid) writer(n int) table.Writer {
	style := table.StyleDefault
	style.Options = table.OptionsNoBordersAndSeparators
	style.Box.PaddingLeft, style.Box.PaddingRight = "", strings.Repeat(" ", gap)
	style.Format.Header = text.FormatDefault
	t := table.NewWriter()
	t.SetStyle(style)
	head := make([]string, n)
	for i := range head {
		head[i] = g.screen.dim(g.head[i])
	}
	t.AppendHeader(tableRow(head))
	return t
}

func tableRow(cells []string) table.Row {
	out := make(table.Row, len(cells))
	for i, c := range cells {
		out[i] = c
	}
	return out
}

func trimmed(rendered string) []string {
	lines := strings.Split(rendered, "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	return lines
}
