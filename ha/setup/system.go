package setup

import (
	"context"
	"io/fs"
)

// System is this machine, as steps touch it. Names are absolute paths. Errors of reading wrap fs.ErrNotExist where nothing is there.
type System interface {
	ReadFile(name string) ([]byte, error)
	// WriteFile makes or replaces a file at once, its directories with it. Below Proxmox's tree the mode is Proxmox's own choice.
	WriteFile(name string, data []byte, mode fs.FileMode) error
	// Remove removes a file, or a directory with all that is in it. What is not there is removed.
	Remove(name string) error
	// List names what is in a directory; nothing where there is none.
	List(dir string) ([]string, error)
	// Run runs a program and returns its standard output. An error has its standard error, never its output or input: those may be secret.
	Run(ctx context.Context, input []byte, argv ...string) ([]byte, error)
}

// Step is one thing that shall be so.
type Step interface {
	// Title says what, in one line, without secrets.
	Title() string
	// Done says whether it is so already. It changes nothing.
	Done(ctx context.Context, sys System) (bool, error)
	// Do makes it so.
	Do(ctx context.Context, sys System) error
}
