package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/fatih/color"

	"bascule/ha"
	"bascule/ha/api"
)

// storagesText lists the storages that any node looks at: where they work, where not, and over how many paths. "" when nobody looks.
func storagesText(s *screen, st api.Status) string {
	t := newTable(s, "STORAGE", "TYPE", "STATE", "NOTE")
	rows := 0
	for _, x := range st.Storages {
		if !slices.ContainsFunc(x.Nodes, func(n api.StorageSeen) bool { return n.State != "" }) {
			continue
		}
		rows++
		word, colour := storageWord(x)
		t.row(s.bold(x.Name), x.Type, s.paint(word, colour), storageNote(x, st))
	}
	if rows == 0 {
		return ""
	}
	return t.render() + "\n"
}

// storageWord is a storage's state in a word or two: on how many of the nodes that look it works.
func storageWord(x api.Storage) (string, color.Attribute) {
	good, all, lost := 0, 0, 0
	for _, n := range x.Nodes {
		if n.State == "" {
			continue
		}
		all++
		if n.State == ha.StorageGood {
			good++
		} else if n.State.Lost() {
			lost++
		}
	}
	switch {
	case lost == all:
		return "DOWN", color.FgRed
	case lost > 0:
		return fmt.Sprintf("LOST on %d of %d", lost, all), color.FgRed
	case good < all:
		return fmt.Sprintf("good on %d of %d", good, all), color.FgYellow
	}
	return "good", color.FgGreen
}

// storageNote names the nodes where a storage is not good, and the paths to it.
func storageNote(x api.Storage, st api.Status) string {
	var parts []string
	for _, n := range x.Nodes {
		if n.State != "" && n.State != ha.StorageGood {
			parts = append(parts, fmt.Sprintf("%s on %s for %s", n.State, n.Node, ago(st.At, n.Since)))
		}
	}
	for _, n := range x.Nodes {
		if n.Paths != nil {
			parts = append(parts, fmt.Sprintf("%s: %d/%d paths", n.Node, n.Paths.Up, n.Paths.All))
		}
	}
	return strings.Join(parts, ", ")
}
