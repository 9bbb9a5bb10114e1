package api

import (
	"errors"
	"fmt"
	"net/http"

	"bascule/ha"
)

// ErrNoAnswer is wrapped by every error of the client that means: no daemon answered in time.
var ErrNoAnswer = errors.New("no answer from basculed")

// Error is what the API answers when it does not do what was asked: what happened, and what the operator does next.
type Error struct {
	Code    int    `json:"-"` // HTTP status
	Message string `json:"error"`
	Do      string `json:"do,omitempty"`
}

// Error gives both parts in one line.
func (e *Error) Error() string {
	if e.Do == "" {
		return e.Message
	}
	return e.Message + ": " + e.Do
}

func conflict(message, do string) *Error {
	return &Error{Code: http.StatusConflict, Message: message, Do: do}
}

func badRequest(format string, args ...any) *Error {
	return &Error{Code: http.StatusBadRequest, Message: fmt.Sprintf(format, args...), Do: "the caller is older or newer than this basculed, or not hactl: see hactl version"}
}

// storeError words what the store said to a commit or a read.
func storeError(doing string, err error) *Error {
	e := &Error{Code: http.StatusInternalServerError, Message: doing + ": " + err.Error(), Do: "look at basculed's log: journalctl -u basculed"}
	switch {
	case errors.Is(err, ha.ErrAmbiguous):
		e.Code, e.Do = http.StatusServiceUnavailable, "look at hactl status whether it was taken up; asking again does no harm"
	case errors.Is(err, ha.ErrUnavailable):
		e.Code, e.Do = http.StatusServiceUnavailable, "bring a majority of the etcd voters back (hactl status names those that do not answer), then ask again"
	case errors.Is(err, ha.ErrConflict):
		e.Code, e.Do = http.StatusConflict, "ask again"
	}
	return e
}
