package setup

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
)

// File is a file with a content.
type File struct {
	Path   string
	Mode   fs.FileMode
	Data   []byte
	Secret bool   // the content is shown nowhere
	What   string // what it is
}

// Title implements Step.
func (f File) Title() string { return fmt.Sprintf("write %s (%s)", f.Path, f.What) }

// Done implements Step.
func (f File) Done(_ context.Context, sys System) (bool, error) {
	have, err := sys.ReadFile(f.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return bytes.Equal(have, f.Data), err
}

// Do implements Step.
func (f File) Do(_ context.Context, sys System) error { return sys.WriteFile(f.Path, f.Data, f.Mode) }

// Once is a file that is made up when it is missing and never changed: a key.
type Once struct {
	Path string
	Mode fs.FileMode
	What string
	Make func() ([]byte, error)
}

// Title implements Step.
func (o Once) Title() string { return fmt.Sprintf("make %s (%s)", o.Path, o.What) }

// Done implements Step.
func (o Once) Done(_ context.Context, sys System) (bool, error) { return exists(sys, o.Path) }

// Do implements Step.
func (o Once) Do(_ context.Context, sys System) error {
	data, err := o.Make()
	if err != nil {
		return err
	}
	return sys.WriteFile(o.Path, data, o.Mode)
}

// Copy keeps a local copy of a replicated file.
type Copy struct {
	From, To string
	Mode     fs.FileMode
	What     string
}

// Title implements Step.
func (c Copy) Title() string { return fmt.Sprintf("copy %s to %s (%s)", c.From, c.To, c.What) }

// Done implements Step.
func (c Copy) Done(_ context.Context, sys System) (bool, error) {
	from, err := sys.ReadFile(c.From)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil // made by an earlier step, or Do says so
	}
	if err != nil {
		return false, err
	}
	to, err := sys.ReadFile(c.To)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return bytes.Equal(from, to), err
}

// Do implements Step.
func (c Copy) Do(_ context.Context, sys System) error {
	data, err := sys.ReadFile(c.From)
	if err != nil {
		return err
	}
	return sys.WriteFile(c.To, data, c.Mode)
}

// Gone is a file or directory that shall not be there.
type Gone struct{ Path, What string }

// Title implements Step.
func (g Gone) Title() string { return fmt.Sprintf("remove %s (%s)", g.Path, g.What) }

// Done implements Step.
func (g Gone) Done(_ context.Context, sys System) (bool, error) {
	there, err := exists(sys, g.Path)
	if err != nil || there {
		return false, nil // a directory cannot be read; removing what is not there is no error
	}
	in, err := sys.List(g.Path)
	return len(in) == 0, err
}

// Do implements Step.
func (g Gone) Do(_ context.Context, sys System) error { return sys.Remove(g.Path) }

// exists says whether a file can be read and holds something.
func exists(sys System, name string) (bool, error) {
	data, err := sys.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && len(data) > 0, err
}
