package fencing

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strconv"

	"bascule/ha"
)

// maxOrder bounds the order read from the parent, in bytes.
const maxOrder = 1 << 20

// RunChild is the body of the hidden subcommand that Child starts. args are the arguments after the subcommand's name: the
// deadline. It arms its own death before anything else, then reads the order, sends it if there is still time, and
// writes the answer. It returns the exit status: 0 only if the device accepted.
//
// Between the look at the clock and the sending the process may be stopped for as long as anybody likes: the kernel
// kills it at the deadline, so what it sends it sends within its leader's term.
func RunChild(args []string, stdin io.Reader, stdout io.Writer, methods Methods) int {
	err := runChild(args, stdin, methods)
	a := answer{Accepted: err == nil}
	if err != nil {
		a = answer{Kind: kindName(err), Text: Printable(err.Error(), 4*maxText), Perhaps: MayHaveWorked(err)}
	}
	if werr := json.NewEncoder(stdout).Encode(a); werr != nil || err != nil {
		return 1
	}
	return 0
}

func runChild(args []string, stdin io.Reader, methods Methods) error {
	if len(args) != 1 {
		return fmt.Errorf("%w: it is started by basculed only, with one deadline, not by hand", ErrHelper)
	}
	deadline, err := strconv.ParseInt(args[0], 10, 64)
	if err != nil {
		return fmt.Errorf("%w: its deadline is not a number", ErrHelper)
	}
	if err := dieAt(ha.Instant(deadline)); err != nil {
		return err
	}
	var o Order
	dec := json.NewDecoder(io.LimitReader(stdin, maxOrder))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&o); err != nil {
		return fmt.Errorf("%w: its order cannot be read: %w", ErrHelper, err)
	}
	if o.Deadline != ha.Instant(deadline) {
		return fmt.Errorf("%w: its two deadlines differ", ErrHelper)
	}
	if err := o.check(BootNow()); err != nil {
		return err
	}
	_, err = careful(context.Background(), func(ctx context.Context) (ha.DeviceReading, error) {
		return unread, o.Send(ctx, methods)
	})
	return err
}
