package fencing

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
)

// What can go wrong with a device. Methods wrap these; the text of each is part of every Problem.
var (
	ErrUnreachable  = errors.New("no connection to the device")
	ErrTimeout      = errors.New("no answer in time")
	ErrAuth         = errors.New("user or password not accepted")
	ErrUntrusted    = errors.New("the device's certificate is not the expected one")
	ErrWrongMachine = errors.New("the device belongs to another machine")
	ErrRubbish      = errors.New("the device's answer makes no sense")
	ErrRefused      = errors.New("the device refused")
	ErrSettings     = errors.New("settings not usable")
	// ErrRights: the device is well, the account may not do what fencing needs. It is a refusal.
	ErrRights = fmt.Errorf("%w: the account lacks a right", ErrRefused)
	// ErrUnsupported: the device does not know what fencing needs, whoever asks. It is a refusal.
	ErrUnsupported = fmt.Errorf("%w: it does not support what fencing needs", ErrRefused)
	// ErrByHand: the method has no device; a person does what is asked.
	ErrByHand = errors.New("only a person can do this")
	// ErrTooLate: nothing was sent, because the leadership that the command belongs to ends before the device would answer.
	ErrTooLate = errors.New("not sent: too late in this leadership")
	// ErrHelper: the process that should have sent the command could not do its work.
	ErrHelper = errors.New("the helper process failed")
)

// kinds orders the sentinels and gives each its name between processes and the operator's next step
// (NODE stands for the node's name).
var kinds = []struct {
	name   string
	err    error
	advice string
}{
	{"too-late", ErrTooLate, "nothing needs to be done: this leader tries again when its leadership is renewed, or the next one does"},
	{"by-hand", ErrByHand, "make sure that the machine is off, then run hactl confirm-off NODE"},
	{"helper", ErrHelper, "look into the journal of basculed for the reason (memory, process limits), the command is tried again"},
	{"settings", ErrSettings, "correct this device under fencing.devices in the configuration, then run hactl doctor"},
	{"wrong-machine", ErrWrongMachine, "compare the address and system of this device with those of the other nodes under fencing.devices: they are probably swapped"},
	{"untrusted", ErrUntrusted, "if the device got a new certificate, check it on the device's own page and correct fingerprint or ca_file; if not, somebody may stand between"},
	{"auth", ErrAuth, "check user and password of this device under fencing.devices, and that the account is not locked, then run hactl doctor"},
	{"rights", ErrRights, "give the account the rights that the documentation of this method lists; hactl doctor shows the command where there is one"},
	{"unsupported", ErrUnsupported, "look for a switch or a newer firmware of the device, or fence this node in another way"},
	{"refused", ErrRefused, "check on the device's own page that this account may switch power and that nothing else blocks it"},
	{"rubbish", ErrRubbish, "check that the address is that of the device and look at its own page; a restart or a newer firmware of the device may help"},
	{"timeout", ErrTimeout, "the device is slow, hung or cut off, and may or may not have heard: look whether its own page answers; if it is only slow, choose a more patient timing profile"},
	{"unreachable", ErrUnreachable, "check the device's power (does it hang on the machine's own power supply?), cable and address"},
}

// Classify returns which of this package's errors err is: the one that it wraps or, for errors of the standard library,
// the one that fits. Anything unknown is ErrRubbish; nil stays nil.
func Classify(err error) error {
	if err == nil {
		return nil
	}
	for _, k := range kinds {
		if errors.Is(err, k.err) {
			return k.err
		}
	}
	var netErr net.Error
	timedOut := errors.As(err, &netErr) && netErr.Timeout()
	if timedOut || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) || errors.Is(err, os.ErrDeadlineExceeded) {
		return ErrTimeout
	}
	if isCertificate(err) {
		return ErrUntrusted
	}
	if isDecoding(err) {
		return ErrRubbish
	}
	if netErr != nil || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return ErrUnreachable
	}
	return ErrRubbish
}

func isCertificate(err error) bool {
	var verify *tls.CertificateVerificationError
	var unknown x509.UnknownAuthorityError
	var host x509.HostnameError
	var invalid x509.CertificateInvalidError
	return errors.As(err, &verify) || errors.As(err, &unknown) || errors.As(err, &host) || errors.As(err, &invalid)
}

func isDecoding(err error) bool {
	var syntax *json.SyntaxError
	var typ *json.UnmarshalTypeError
	var big *http.MaxBytesError
	var record tls.RecordHeaderError
	return errors.As(err, &syntax) || errors.As(err, &typ) || errors.As(err, &big) || errors.As(err, &record)
}

// perhaps marks an error of a command that may have been carried out all the same.
type perhaps struct{ error }

func (e perhaps) Unwrap() error { return e.error }

// Perhaps marks an error of a command that was sent and may have been carried out: its answer was lost or makes no sense. nil stays nil.
func Perhaps(err error) error {
	if err == nil || MayHaveWorked(err) {
		return err
	}
	return perhaps{err}
}

// MayHaveWorked says whether an error is marked by Perhaps.
func MayHaveWorked(err error) bool {
	var p perhaps
	return errors.As(err, &p)
}

// told is an error that came over from another process: its kind and its text.
type told struct {
	kind error
	text string
}

func (e told) Error() string { return e.text }
func (e told) Unwrap() error { return e.kind }

func kindName(err error) string {
	c := Classify(err)
	for _, k := range kinds {
		if k.err == c {
			return k.name
		}
	}
	return ""
}

func kindByName(name string) error {
	for _, k := range kinds {
		if k.name == name {
			return k.err
		}
	}
	return ErrHelper
}
