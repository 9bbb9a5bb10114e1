package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"bascule/ha/journal"
)

// exitUnreadable is the same number as exitNoAnswer: nothing can be said.
const exitUnreadable = exitNoAnswer

// replay is one run of hactl replay.
type replay struct {
	*hactl
	all    bool
	print  int
	report journal.Report
}

func newReplay(h *hactl) *cobra.Command {
	r := &replay{hactl: h}
	cmd := &cobra.Command{
		Use:   "replay FILE|DIR...",
		Short: "Show why basculed decided as it did, and check that it would decide so again",
		Long: "replay reads what basculed recorded (DIR is <data_dir>/journal), runs every decision again with what was known then, and compares\n" +
			"the outcome byte for byte. It needs no cluster and no basculed, so the files can be read on any machine.\n\n" +
			"Exit codes: 0 every decision is identical, 1 one is different, 2 a file cannot be read.",
		Example: "  hactl replay /var/lib/bascule/journal\n  hactl replay --print 12 /var/lib/bascule/journal",
		Args:    usageArgs(cobra.MinimumNArgs(1)),
		RunE:    func(_ *cobra.Command, args []string) error { return r.run(args) },
	}
	cmd.Flags().BoolVarP(&r.all, "verbose", "v", false, "also what did nothing, and lease renewals")
	cmd.Flags().IntVar(&r.print, "print", 0, "show all of entry `N` as JSON instead")
	return cmd
}

func (r *replay) run(args []string) error {
	if r.print < 0 {
		return usagef("--print %d: entries are counted from 1", r.print)
	}
	files, err := journalFiles(args)
	if err != nil {
		return unreadable(err)
	}
	for _, f := range files {
		if err := r.file(f); errors.Is(err, errFound) {
			return nil
		} else if err != nil {
			return unreadable(fmt.Errorf("%s: %w", f, err))
		}
	}
	if r.print > 0 {
		return unreadable(fmt.Errorf("there is no entry %d: the files hold %d", r.print, r.report.Entries))
	}
	return r.finish()
}

func unreadable(err error) error { return &exitError{code: exitUnreadable, text: err.Error()} }

// journalFiles replaces directories by the files of the journal in them.
func journalFiles(args []string) ([]string, error) {
	var out []string
	for _, a := range args {
		info, err := os.Stat(a)
		if err != nil {
			return nil, err
		}
		if !info.IsDir() {
			out = append(out, a)
			continue
		}
		names, err := journal.Files(a)
		if err != nil {
			return nil, err
		}
		if len(names) == 0 {
			return nil, fmt.Errorf("%s: holds no journal; basculed writes it to <data_dir>/journal", a)
		}
		out = append(out, names...)
	}
	return out, nil
}

// errFound ends the reading when the entry to print was printed.
var errFound = errors.New("found")

func (r *replay) file(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return errors.Unwrap(err) // the name is said once
	}
	defer f.Close()
	return r.report.Read(f, name, r.entry)
}

// entry shows one entry.
func (r *replay) entry(n int, e *journal.Entry, d *journal.Difference) error {
	if r.print > 0 {
		if n != r.print {
			return nil
		}
		b, err := e.Readable()
		if err == nil {
			_, err = r.out.Write(b)
		}
		return errors.Join(err, errFound)
	}
	if r.output != "text" {
		return nil
	}
	lines := entryText(e)
	if !r.all && d == nil && !didSomething(e) {
		return nil
	}
	if len(lines) == 0 {
		lines = []string{"nothing to do"}
	}
	if d != nil {
		lines = append(lines, differenceText(d))
	}
	first := fmt.Sprintf("%s  %s  %s  ", r.out.dim(fmt.Sprintf("#%-5d", n)), r.out.dim(e.At.Local().Format("2006-01-02 15:04:05.000")), r.out.bold(fmt.Sprintf("%-7s", heading(e))))
	for _, l := range lines {
		if _, err := io.WriteString(r.out, r.out.row(first, l)); err != nil {
			return err
		}
	}
	return nil
}

// finish says what became of it all.
func (r *replay) finish() error {
	done, err := r.structured(r.report, false)
	if !done {
		for _, n := range r.notes() {
			io.WriteString(r.out, r.out.wrapped("note: ", n))
		}
		_, err = fmt.Fprintf(r.out, "RESULT entries=%d identical=%d different=%d\n", r.report.Entries, r.report.Identical, r.report.Different)
	}
	if err == nil && r.report.Different > 0 {
		return &exitError{code: exitDegraded}
	}
	return err
}

// notes are what the reader of a result should know.
func (r *replay) notes() []string {
	var out []string
	p := r.report
	if p.Alike > 0 {
		out = append(out, fmt.Sprintf("%d entries that differed from others only by the time were not recorded", p.Alike))
	}
	if p.Dropped > 0 {
		out = append(out, fmt.Sprintf("%d entries could not be recorded: the disk did not take them fast enough, or not at all", p.Dropped))
	}
	out = append(out, p.Torn...)
	for _, v := range p.Versions {
		if v != version && p.Different > 0 {
			out = append(out, fmt.Sprintf("recorded by basculed %s, replayed by hactl %s: another version may decide otherwise; use the hactl of that version", v, version))
		}
	}
	if d := p.First; d != nil {
		out = append(out, fmt.Sprintf("the first difference is in entry %d: see all of it with --print %d", d.Entry, d.Entry))
	}
	return out
}
