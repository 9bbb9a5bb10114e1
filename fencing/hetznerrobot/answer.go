package hetznerrobot

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"bascule/fencing"
)

// options is what the service says of a server's resets.
type options struct {
	IP     string          `json:"server_ip"`
	IPv6   string          `json:"server_ipv6_net"`
	Number int             `json:"server_number"`
	Type   json.RawMessage `json:"type"` // those that it offers, a list; after a reset the one that was done
}

// many are the types of a list.
func (o options) many() []string {
	var list []string
	if json.Unmarshal(o.Type, &list) != nil {
		return nil
	}
	return list
}

// one is the single type that was done, "" when there is none.
func (o options) one() string {
	var s string
	if json.Unmarshal(o.Type, &s) != nil {
		return ""
	}
	return s
}

// refusal is the documented shape of errors. MaxRequest and Interval (seconds) come with a request limit.
type refusal struct {
	Status     int    `json:"status"`
	Code       string `json:"code"`
	Message    string `json:"message"`
	MaxRequest int    `json:"max_request"`
	Interval   int    `json:"interval"`
}

// refusals are the documented codes, each with the kind of error that it is and what to do about it. Whoever gets one knows that
// nothing was reset.
var refusals = map[string]struct {
	kind error
	do   string
}{
	"UNAUTHORIZED":        {fencing.ErrAuth, ""},
	"SERVER_NOT_FOUND":    {fencing.ErrSettings, `correct server_number, or let this user see the server`},
	"RESET_NOT_AVAILABLE": {fencing.ErrRefused, "this server has no reset: use another method"},
	"INVALID_INPUT":       {fencing.ErrRefused, "this server may not offer the type of reset"},
	"RESET_MANUAL_ACTIVE": {fencing.ErrRefused, "a technician was asked to reset it: wait, or call them"},
	"RESET_FAILED":        {fencing.ErrRefused, ""},
	"RATE_LIMIT_EXCEEDED": {fencing.ErrRefused, "see what else uses this user, and give Bascule one of its own"},
}

// decode reads an answer. said: it is a refusal in the documented shape, after which nothing is going on.
func decode(status int, body []byte) (got options, said bool, err error) {
	var a struct {
		Reset *options `json:"reset"`
		Error *refusal `json:"error"`
	}
	wrong := json.Unmarshal(body, &a)
	switch {
	case status == http.StatusUnauthorized: // its body is not documented
		return got, true, fmt.Errorf("%w: HTTP 401", fencing.ErrAuth)
	case status == http.StatusServiceUnavailable:
		return got, true, fmt.Errorf("%w: HTTP 503: the service is closed for maintenance", fencing.ErrTimeout)
	case status == http.StatusBadGateway || status == http.StatusGatewayTimeout:
		return got, false, fmt.Errorf("%w: HTTP %d %s", fencing.ErrTimeout, status, http.StatusText(status))
	case wrong == nil && a.Error != nil && status >= 400:
		return got, refusals[a.Error.Code].kind != nil, a.Error.err(status)
	case status == http.StatusForbidden:
		return got, true, fmt.Errorf("%w: HTTP 403", fencing.ErrRefused)
	case wrong != nil:
		return got, false, fmt.Errorf("%w: HTTP %d with %w", fencing.ErrRubbish, status, wrong)
	case status != http.StatusOK || a.Reset == nil || a.Error != nil:
		return got, false, fmt.Errorf("%w: HTTP %d without what the service documents", fencing.ErrRubbish, status)
	}
	return *a.Reset, false, nil
}

// err words a refusal.
func (r *refusal) err(status int) error {
	known, kind := refusals[r.Code], fencing.ErrRefused
	if known.kind != nil {
		kind = known.kind
	}
	text := []string{fmt.Sprintf("HTTP %d %s: %s", status, r.Code, r.Message)}
	if r.MaxRequest > 0 {
		text = append(text, fmt.Sprintf("%d requests in %d s are allowed", r.MaxRequest, r.Interval))
	}
	if known.do != "" {
		text = append(text, known.do)
	}
	return fmt.Errorf("%w: %s", kind, strings.Join(text, "; "))
}
