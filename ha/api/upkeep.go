package api

import (
	"context"
	"crypto/x509"
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
	// SignCertificate answers the request (PEM) of a member that has no authority at hand with a certificate (PEM). asker is what it has
	// shown in the handshake: it says who it is; the configuration says where.
	SignCertificate(asker *x509.Certificate, request []byte) ([]byte, error)
	// Authority says whom this member trusts and what it shows.
	Authority() (Authority, error)
	// SetAuthority makes it trust these authorities (PEM; the first one signs), renews its certificate where that is of another one, and
	// returns when its own member of the store trusts them, too. asker is what the caller has shown in the handshake, nil: root on this
	// machine. ha.ErrUnavailable: not now, try again.
	SetAuthority(ctx context.Context, asker *x509.Certificate, pem []byte) error
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

// CertificateBody is a request for a certificate, or the certificate.
type CertificateBody struct {
	PEM string `json:"pem"`
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

// signCertificate signs for the member that asks. Only its own connection can say who that is.
func (s *Server) signCertificate(w http.ResponseWriter, r *http.Request) {
	var b CertificateBody
	if !s.body(w, r, &b) {
		return
	}
	if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
		s.fail(w, conflict("a certificate is signed for who shows the present one", "a member asks for its own, over TLS"))
		return
	}
	certPEM, err := s.backend.SignCertificate(r.TLS.PeerCertificates[0], []byte(b.PEM))
	if err != nil {
		s.log.WithField("by", proven(r, s.backend.View().Self)).WithField("reason", err.Error()).Warn("a certificate was not signed")
		s.fail(w, conflict("the certificate was not signed: "+err.Error(), "put right what it says; the member asks again within the hour"))
		return
	}
	s.log.WithField("by", proven(r, s.backend.View().Self)).Info("a certificate was signed")
	s.answer(w, http.StatusOK, CertificateBody{PEM: string(certPEM)})
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

// SignCertificate has a request (PEM) of the caller's own signed and returns the certificate (PEM).
func (c *Client) SignCertificate(ctx context.Context, request []byte) ([]byte, error) {
	var b CertificateBody
	err := c.call(ctx, http.MethodPost, "/v1/certificate", CertificateBody{PEM: string(request)}, &b)
	return []byte(b.PEM), err
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
