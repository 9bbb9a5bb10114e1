// Package pages writes the man pages and shell completions of a command tree, for the Debian package. The commands call it in builds
// with the tag "pages" only, which are run once while the package is made (make deb) and never shipped: the programs that operators
// run carry none of it.
//
// It takes what the commands say of themselves and adds nothing. It may never depend on the clock, the directory or the machine: the
// same commit gives the same bytes.
package pages

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

// Write writes below dir: man/manSECTION/NAME.SECTION for the command and each of its subcommands, bash/NAME, zsh/_NAME and
// fish/NAME.fish. date is the commit's, shown in the man pages.
func Write(root *cobra.Command, section, dir string, date time.Time) error {
	for _, c := range descendants(root) {
		if err := manPage(c, section, filepath.Join(dir, "man", "man"+section), date); err != nil {
			return err
		}
	}
	return completions(root, dir)
}

// descendants are the command and all below it that have a page: hidden ones and topics of the help have none.
func descendants(c *cobra.Command) []*cobra.Command {
	all := []*cobra.Command{c}
	for _, child := range c.Commands() {
		if child.IsAvailableCommand() && !child.IsAdditionalHelpTopicCommand() {
			all = append(all, descendants(child)...)
		}
	}
	return all
}

func manPage(c *cobra.Command, section, dir string, date time.Time) error {
	c.DisableAutoGenTag = true
	utc := date.UTC()
	var page bytes.Buffer
	if err := doc.GenMan(c, &doc.GenManHeader{Section: section, Date: &utc, Source: "Bascule", Manual: "Bascule"}, &page); err != nil {
		return fmt.Errorf("man page of %s: %w", c.CommandPath(), err)
	}
	return write(filepath.Join(dir, strings.ReplaceAll(c.CommandPath(), " ", "-")+"."+section), page.Bytes())
}

func completions(root *cobra.Command, dir string) error {
	for _, shell := range []struct {
		file string
		gen  func(*bytes.Buffer) error
	}{
		{"bash/" + root.Name(), func(b *bytes.Buffer) error { return root.GenBashCompletionV2(b, true) }},
		{"zsh/_" + root.Name(), func(b *bytes.Buffer) error { return root.GenZshCompletion(b) }},
		{"fish/" + root.Name() + ".fish", func(b *bytes.Buffer) error { return root.GenFishCompletion(b, true) }},
	} {
		var script bytes.Buffer
		if err := shell.gen(&script); err != nil {
			return fmt.Errorf("completion %s: %w", shell.file, err)
		}
		if err := write(filepath.Join(dir, shell.file), script.Bytes()); err != nil {
			return err
		}
	}
	return nil
}

func write(path string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, data, 0o644)
}

// Main is the whole program of such a build: NAME DIRECTORY SECONDS, where SECONDS is the commit's time since 1970.
func Main(root *cobra.Command, section string) int {
	if err := fromArgs(root, section, os.Args[1:]); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", root.Name(), err)
		return 1
	}
	return 0
}

func fromArgs(root *cobra.Command, section string, args []string) error {
	if len(args) != 2 {
		return fmt.Errorf("this build only writes pages: %s DIRECTORY SECONDS", root.Name())
	}
	var seconds int64
	if _, err := fmt.Sscanf(args[1], "%d", &seconds); err != nil {
		return fmt.Errorf("%q is no time in seconds: %w", args[1], err)
	}
	return Write(root, section, args[0], time.Unix(seconds, 0))
}
