package api

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"bascule/ha"
)

// Upkeep is what a daemon does for its operator beside high availability: keys, certificates, copies of the store.
type Upkeep interface {
	// GossipKeys says which keys gossip has here.
	GossipKeys() GossipKeys
	// SetGossipKeys writes the keys (base64, the first one sends) to the key file and uses them from now on.
	SetGossipKeys(keys []string) error
	// CertificateRequest prepares a new key for this member and returns the request (PEM) to sign; the key never leaves the machine.
	CertificateRequest() ([]byte, error)
	// SetCertificate puts a certificate (PEM) into use that the cluster's authority has signed for the prepared key.
	SetCertificate(certPEM []byte) error
	// Snapshot writes a copy of the embedded store.
	Snapshot(ctx context.Context, w io.Writer) error
}

// GossipKeys names a member's gossip keys by fingerprints; the first one sends, all receive.
type GossipKeys struct {
	Node ha.NodeName `json:"node"`
	Keys []string    `json:"keys"`
}

// GossipKeysBody replaces a member's gossip keys.
type GossipKeysBody struct {
	Keys     []string `json:"keys"` // base64, the first one sends
	Operator string   `json:"operator,omitempty"`
}

// CertificateBody is a request for a certificate, or a certificate.
type CertificateBody struct {
	PEM      string `json:"pem"`
	Operator string `json:"operator,omitempty"`
}

// SnapshotLimit bounds one copy of the store.
const SnapshotLimit = 5 * time.Minute

func (s *Server) gossipKeys(w http.ResponseWriter, _ *http.Request) {
	s.answer(w, http.StatusOK, s.backend.GossipKeys())
}

func (s *Server) setGossipKeys(w http.ResponseWriter, r *http.Request) {
	var b GossipKeysBody
	if !s.body(w, r, &b) {
		return
	}
	if err := s.backend.SetGossipKeys(b.Keys); err != nil {
		s.fail(w, conflict("the gossip keys were not taken: "+err.Error(), "put right what it says, then rotate again"))
		return
	}
	now := s.backend.GossipKeys()
	s.log.WithField("by", who(b.Operator, proven(r, s.backend.View().Self))).WithField("reason", fmt.Sprintf("it sends with %s and receives with %v", now.Keys[0], now.Keys)).Info("gossip keys replaced")
	s.answer(w, http.StatusOK, now)
}

func (s *Server) certificateRequest(w http.ResponseWriter, _ *http.Request) {
	csr, err := s.backend.CertificateRequest()
	if err != nil {
		s.fail(w, conflict("no key could be prepared for a new certificate: "+err.Error(), "put right what it says, then ask again"))
		return
	}
	s.answer(w, http.StatusOK, CertificateBody{PEM: string(csr)})
}

func (s *Server) setCertificate(w http.ResponseWriter, r *http.Request) {
	var b CertificateBody
	if !s.body(w, r, &b) {
		return
	}
	if err := s.backend.SetCertificate([]byte(b.PEM)); err != nil {
		s.fail(w, conflict("the certificate was not taken: "+err.Error(), "the old one stays in use; ask again"))
		return
	}
	s.log.WithField("by", who(b.Operator, proven(r, s.backend.View().Self))).Info("certificate renewed")
	s.answer(w, http.StatusOK, struct{}{})
}

// body reads a request's body, or refuses it without repeating it: it may hold a key.
func (s *Server) body(w http.ResponseWriter, r *http.Request, into any) bool {
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, 4*maxBody))
	dec.DisallowUnknownFields()
	if dec.Decode(into) != nil {
		s.fail(w, badRequest("the request's body is not understood"))
		return false
	}
	return true
}

// snapshot sends a copy of the store. Its end is marked by a trailer: a copy that broke off must not look whole.
func (s *Server) snapshot(w http.ResponseWriter, r *http.Request) {
	rc := http.NewResponseController(w) // without one the server's own limits stand
	_ = rc.SetWriteDeadline(time.Now().Add(SnapshotLimit + answerTimeout))
	ctx, cancel := context.WithTimeout(r.Context(), SnapshotLimit)
	defer cancel()
	out := &countingWriter{w: w}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Trailer", snapshotWhole)
	err := s.backend.Snapshot(ctx, out)
	switch {
	case err == nil:
		w.Header().Set(snapshotWhole, "yes")
	case out.n == 0:
		w.Header().Del("Trailer")
		s.fail(w, etcdError("the store cannot be copied", err))
	default:
		s.log.WithError(err).Warn("a copy of the store broke off")
	}
}

const snapshotWhole = "Bascule-Whole"

type countingWriter struct {
	w io.Writer
	n int64
}

func (c *countingWriter) Write(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil // it would send the header
	}
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}

// GossipKeys asks which gossip keys the daemon has.
func (c *Client) GossipKeys(ctx context.Context) (GossipKeys, error) {
	var k GossipKeys
	return k, c.call(ctx, http.MethodGet, "/v1/gossip-keys", nil, &k)
}

// SetGossipKeys replaces the daemon's gossip keys and returns what it has then.
func (c *Client) SetGossipKeys(ctx context.Context, b GossipKeysBody) (GossipKeys, error) {
	var k GossipKeys
	return k, c.call(ctx, http.MethodPut, "/v1/gossip-keys", b, &k)
}

// CertificateRequest asks for a request to sign.
func (c *Client) CertificateRequest(ctx context.Context) ([]byte, error) {
	var b CertificateBody
	err := c.call(ctx, http.MethodPost, "/v1/certificate-request", nil, &b)
	return []byte(b.PEM), err
}

// SetCertificate gives the daemon its new certificate.
func (c *Client) SetCertificate(ctx context.Context, b CertificateBody) error {
	return c.call(ctx, http.MethodPut, "/v1/certificate", b, &struct{}{})
}

// Snapshot copies the embedded store to w.
func (c *Client) Snapshot(ctx context.Context, w io.Writer) error {
	resp, err := c.send(ctx, http.MethodGet, "/v1/etcd/snapshot", nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(w, resp.Body); err != nil {
		return fmt.Errorf("%w at %s: the copy of the store broke off: %w", ErrNoAnswer, c.peer, err)
	}
	if resp.Trailer.Get(snapshotWhole) != "yes" {
		return fmt.Errorf("%w at %s: the copy of the store broke off: the log of basculed there says why", ErrNoAnswer, c.peer)
	}
	return nil
}
