package sbd

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"

	"bascule/fencing"
)

// servantName is the argv[0] by which this binary knows that it is a servant. Any binary that has this package is its own servant, so
// that the method is complete without a subcommand that every command would have to offer.
const servantName = "bascule-sbd-disk"

func init() {
	if len(os.Args) > 0 && os.Args[0] == servantName {
		os.Exit(serve(os.Args[1:], os.Stdin, os.Stdout, openDisk))
	}
}

// What a servant is asked for.
const (
	opLook    = "look"    // find the slot of a name
	opAgain   = "again"   // read a slot that is known
	opMessage = "message" // write into the mailbox of a name
	opClaim   = "claim"   // take a slot for a name
	opClear   = "clear"   // empty the mailbox of a slot
	opFormat  = "format"  // make it an SBD disk
)

// request is one line to a servant.
type request struct {
	Op      string
	Name    string  `json:",omitempty"` // whose slot
	Slot    int     `json:",omitempty"`
	Mailbox Mailbox `json:",omitzero"` // to write, or seen before
	Header  Header  `json:",omitzero"` // to write
}

// answer is the servant's line.
type answer struct {
	Sight  Sight
	NoSlot bool   `json:",omitempty"`
	Kind   string `json:",omitempty"` // what went wrong: a name in errorKinds
	Text   string `json:",omitempty"`
}

// opener opens a disk.
type opener func(path string, exclusive bool) (sectors, error)

// serve is the servant: it touches one disk, as it is asked, until its input ends. It ends with its parent (Pdeathsig) and at the
// latest when the disk answers.
func serve(args []string, in io.Reader, out io.Writer, open opener) int {
	if len(args) != 2 {
		fmt.Fprintln(os.Stderr, "bascule-sbd-disk is started by Bascule only: with one disk and how long it stays")
		return 2
	}
	path := args[0]
	nameProcess(processName(path, args[1] == stays))
	var disk sectors
	requests, answers := json.NewDecoder(in), json.NewEncoder(out)
	for {
		var r request
		if err := requests.Decode(&r); errors.Is(err, io.EOF) {
			return 0
		} else if err != nil {
			return 2
		}
		var err error
		if disk == nil {
			disk, err = open(path, r.Op == opFormat)
		}
		var a answer
		if err == nil {
			a.Sight, err = perform(disk, r)
		}
		if a.NoSlot = errors.Is(err, errNoSlot); err != nil {
			a.Kind, a.Text = errorKind(err), err.Error()
			disk = closed(disk) // its path may lead elsewhere when it comes back
		}
		if answers.Encode(a) != nil {
			return 2
		}
	}
}

func closed(d sectors) sectors {
	if c, ok := d.(io.Closer); ok {
		c.Close()
	}
	return nil
}

func perform(d sectors, r request) (Sight, error) {
	switch r.Op {
	case opLook:
		s, _, err := look(d, r.Name)
		return s, err
	case opAgain:
		return lookAgain(d, r.Slot)
	case opMessage:
		return message(d, r.Name, r.Mailbox)
	case opClaim:
		return claim(d, r.Name)
	case opClear:
		return clearMessage(d, r.Slot, r.Name, r.Mailbox)
	case opFormat:
		return Sight{Header: r.Header}, format(d, r.Header)
	}
	return Sight{}, fmt.Errorf("%w: the servant does not know %q", fencing.ErrHelper, r.Op)
}

// errorKinds are the errors that cross the pipe.
var errorKinds = map[string]error{
	"unreachable": fencing.ErrUnreachable, "rubbish": fencing.ErrRubbish, "refused": fencing.ErrRefused,
	"settings": fencing.ErrSettings, "helper": fencing.ErrHelper,
}

func errorKind(err error) string {
	for name, kind := range errorKinds {
		if errors.Is(err, kind) {
			return name
		}
	}
	return "helper"
}

// How long a servant stays, its second argument.
const (
	once  = "once"  // for one call of a leader
	stays = "stays" // for a node that watches its slot
)

// processName is how the servants of a disk show in /proc: 15 bytes, for all of this disk the same.
func processName(path string, watching bool) string {
	h := fnv.New32a()
	h.Write([]byte(path))
	kind := "sbd"
	if watching {
		kind = "sbdw"
	}
	return fmt.Sprintf("%s-%08x", kind, h.Sum32())
}

// nameProcess renames the process: package initialisation runs on its first thread, whose name is the process's.
func nameProcess(name string) {
	b := append([]byte(name), 0)
	_ = unix.Prctl(unix.PR_SET_NAME, uintptr(unsafe.Pointer(&b[0])), 0, 0, 0) // it only fails for a bad address
}
