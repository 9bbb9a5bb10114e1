package scsipr

import (
	"errors"
	"fmt"

	"bascule/fencing"
)

// Statuses of commands.
const (
	statusGood      = 0x00
	statusCheck     = 0x02
	statusBusy      = 0x08
	statusConflict  = 0x18
	statusTaskFull  = 0x28
	statusTaskAbort = 0x40
)

// Sense keys.
const (
	senseNotReady  = 0x2
	senseIllegal   = 0x5
	senseAttention = 0x6
	senseAborted   = 0xb
)

// sense is what sense data says, in both of its formats.
type sense struct{ key, asc, ascq byte }

func decodeSense(b []byte) (sense, bool) {
	if len(b) == 0 {
		return sense{}, false
	}
	switch b[0] & 0x7f {
	case 0x70, 0x71:
		if len(b) < 3 {
			return sense{}, false
		}
		s := sense{key: b[2] & 0x0f}
		if len(b) >= 14 {
			s.asc, s.ascq = b[12], b[13]
		}
		return s, true
	case 0x72, 0x73:
		if len(b) < 4 {
			return sense{}, false
		}
		return sense{key: b[1] & 0x0f, asc: b[2], ascq: b[3]}, true
	}
	return sense{}, false
}

// words are the senses that fencing meets.
var words = map[sense]string{
	{6, 0x29, 0x00}: "power on or reset", {6, 0x2a, 0x03}: "reservations preempted", {6, 0x2a, 0x04}: "reservations released",
	{6, 0x2a, 0x05}: "registrations preempted", {5, 0x20, 0x00}: "command not supported", {5, 0x24, 0x00}: "invalid field in the command",
	{5, 0x20, 0x02}: "access denied", {5, 0x25, 0x00}: "no such LUN", {5, 0x26, 0x00}: "invalid field in the parameters",
	{5, 0x55, 0x04}: "the target has no room for another registration", {2, 0x04, 0x0b}: "the path is in standby", {2, 0x04, 0x0c}: "the path is unavailable",
}

// answerError is a command that ended with another status than GOOD.
type answerError struct {
	status byte
	sense  sense
}

func (e answerError) Error() string { return e.Unwrap().Error() + ": " + e.said() }

func (e answerError) said() string {
	switch e.status {
	case statusConflict:
		return "RESERVATION CONFLICT"
	case statusBusy:
		return "the target is busy"
	case statusTaskFull:
		return "the target's queue is full"
	case statusCheck:
		text := fmt.Sprintf("sense %x/%02x%02x", e.sense.key, e.sense.asc, e.sense.ascq)
		if w := words[e.sense]; w != "" {
			text += " (" + w + ")"
		}
		return text
	}
	return fmt.Sprintf("SCSI status %#02x", e.status)
}

// Unwrap sorts the answer under the errors of package fencing.
func (e answerError) Unwrap() error {
	switch {
	case e.passing():
		return fencing.ErrTimeout
	case e.status == statusCheck && e.sense.key == senseNotReady:
		return fencing.ErrUnreachable
	}
	return fencing.ErrRefused
}

// passing says whether the same command may go through if it is sent again: a unit attention tells of something that happened
// earlier, and the command was not carried out.
func (e answerError) passing() bool {
	switch e.status {
	case statusBusy, statusTaskFull, statusTaskAbort:
		return true
	case statusCheck:
		return e.sense.key == senseAttention || e.sense.key == senseAborted
	}
	return false
}

// conflict says whether an error is RESERVATION CONFLICT: not registered on this path, or no such key.
func conflict(err error) bool {
	var e answerError
	return errors.As(err, &e) && e.status == statusConflict
}

// unknownCommand says whether an error is the target's word for "I do not know this service action".
func unknownCommand(err error) bool {
	var e answerError
	return errors.As(err, &e) && (e.sense == sense{senseIllegal, 0x24, 0} || e.sense == sense{senseIllegal, 0x20, 0})
}

// unknownField says the same of a bit in the parameters; some targets call it a field of the command.
func unknownField(err error) bool {
	var e answerError
	return errors.As(err, &e) && (e.sense.key == senseIllegal && e.sense.asc == 0x26 || unknownCommand(err))
}
