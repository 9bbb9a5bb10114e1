package api

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"time"

	"bascule/ha"
)

// Authority is whom a member trusts and what it shows, while the cluster's authority is replaced and else. Authorities are named by
// fingerprints.
type Authority struct {
	Node    ha.NodeName `json:"node"`
	Trusted []string    `json:"trusted"`         // in its connections from now on; the first one signs
	Store   []string    `json:"store,omitempty"` // that its own member of the embedded store was started with; none: it runs none
	Signed  string      `json:"signed"`          // that has signed its certificate
	Ends    time.Time   `json:"ends"`            // its certificate
}

// AuthorityBody replaces the authorities that a member trusts (PEM; the first one signs).
type AuthorityBody struct {
	PEM      string `json:"pem"`
	Operator string `json:"operator,omitempty"`
}

// AuthorityLimit bounds one change: the member of the store is restarted for it, and must vote again.
const AuthorityLimit = 90 * time.Second

func (s *Server) authority(w http.ResponseWriter, _ *http.Request) {
	a, err := s.backend.Authority()
	if err != nil {
		s.fail(w, conflict("whom this member trusts cannot be read: "+err.Error(), "put right what it says"))
		return
	}
	s.answer(w, http.StatusOK, a)
}

// setAuthority answers when the change is done.
func (s *Server) setAuthority(w http.ResponseWriter, r *http.Request) {
	var b AuthorityBody
	if !s.body(w, r, &b) {
		return
	}
	rc := http.NewResponseController(w) // without one the server's own limits stand
	_ = rc.SetReadDeadline(time.Time{})
	_ = rc.SetWriteDeadline(time.Now().Add(AuthorityLimit + answerTimeout))
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), AuthorityLimit) // the caller's going away leaves nothing half done
	defer cancel()
	var asker *x509.Certificate
	if r.TLS != nil && len(r.TLS.PeerCertificates) > 0 {
		asker = r.TLS.PeerCertificates[0]
	}
	log := s.log.WithField("by", who(b.Operator, proven(r, s.backend.View().Self)))
	if err := s.backend.SetAuthority(ctx, asker, []byte(b.PEM)); err != nil {
		log.WithField("reason", err.Error()).Warn("the change of the trusted authorities is not done")
		s.fail(w, authorityError(err))
		return
	}
	a, err := s.backend.Authority()
	if err != nil {
		s.fail(w, authorityError(err))
		return
	}
	log.WithField("reason", fmt.Sprintf("it trusts %v, its certificate is of %s", a.Trusted, a.Signed)).Info("trusted authorities changed")
	s.answer(w, http.StatusOK, a)
}

func authorityError(err error) *Error {
	e := conflict("the authorities were not taken over: "+err.Error(), "put right what it says, then run hactl keys rotate-authority again")
	if errors.Is(err, ha.ErrUnavailable) {
		e.Code = http.StatusServiceUnavailable
	}
	return e
}

// Authority asks whom the member trusts and what it shows.
func (c *Client) Authority(ctx context.Context) (Authority, error) {
	var a Authority
	return a, c.call(ctx, http.MethodGet, "/v1/authority", nil, &a)
}

// SetAuthority replaces the authorities that the member trusts and returns how it stands then. It takes up to AuthorityLimit.
func (c *Client) SetAuthority(ctx context.Context, b AuthorityBody) (Authority, error) {
	var a Authority
	return a, c.call(ctx, http.MethodPut, "/v1/authority", b, &a)
}
