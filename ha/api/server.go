package api

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/sirupsen/logrus"

	"bascule/ha"
)

// Limits of the server.
const (
	maxBody       = 4 << 10         // bytes of a request's body
	maxHeader     = 16 << 10        // bytes of its header
	headerTimeout = 5 * time.Second // for the header
	bodyTimeout   = 10 * time.Second
	answerTimeout = 20 * time.Second // for a whole answer that is no stream
	storeTimeout  = 10 * time.Second // for one call to the backend
	idleTimeout   = 60 * time.Second
	closeTimeout  = 5 * time.Second // for open requests when the server ends
)

// Server answers the API. It holds no state of its own but whose turn it is to read the devices, and to look at the node.
type Server struct {
	testing   turn // a management controller has few sessions, and the leader needs one of them
	gathering turn
	backend   Backend
	trust     *ownFiles // what is asked at each request whether its caller is trusted still; nil: the handshake counts for the connection's life
	log       logrus.FieldLogger
	now       func() time.Time
	rand      io.Reader
}

// NewServer returns a server on a backend. log may be nil.
func NewServer(b Backend, log logrus.FieldLogger) *Server {
	if log == nil {
		quiet := logrus.New()
		quiet.SetOutput(io.Discard)
		log = quiet
	}
	return &Server{backend: b, log: log, now: time.Now, rand: rand.Reader}
}

// Trusting makes the server look again, at each request over TLS, whether the caller's certificate is of an authority in this file: who has
// shown one of an authority that was dropped since is turned away, however long his connection has stood. Call it before Serve.
func (s *Server) Trusting(caFile string) error {
	pool, err := readPool(caFile)
	s.trust = &ownFiles{caFile: caFile, pool: pool}
	return err
}

// Serve answers on l until ctx ends, then lets open requests finish (streams end at once) and closes l. It returns nil
// after such an end. Call it once per listener; it may run for several at a time.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	srv := &http.Server{
		Handler: s.handler(ctx.Done()), ReadHeaderTimeout: headerTimeout, ReadTimeout: bodyTimeout, WriteTimeout: answerTimeout,
		IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeader, ConnContext: peerOf,
		ErrorLog: newErrorLog(s.log),
	}
	ended := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(ended)
		grace, cancel := context.WithTimeout(context.Background(), closeTimeout)
		defer cancel()
		if err := srv.Shutdown(grace); err != nil {
			srv.Close()
		}
	})
	err := srv.Serve(l)
	if !stop() { // the shutdown has begun: wait for the open requests
		<-ended
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("API on %s: %w", l.Addr(), err)
}

// Handler returns the API without a listener (the caller brings limits and end).
func (s *Server) Handler() http.Handler { return s.handler(nil) }

func (s *Server) handler(closing <-chan struct{}) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/status", func(w http.ResponseWriter, r *http.Request) {
		s.answer(w, http.StatusOK, BuildStatus(s.backend.View()))
	})
	mux.HandleFunc("GET /v1/version", func(w http.ResponseWriter, r *http.Request) {
		v := s.backend.View()
		s.answer(w, http.StatusOK, VersionInfo{Version: v.Version, Node: v.Self, Cluster: v.Cluster, Role: v.Role})
	})
	mux.HandleFunc("GET /v1/events", func(w http.ResponseWriter, r *http.Request) { s.events(w, r, closing) })
	mux.HandleFunc("GET /v1/fence-test", s.fenceTest)
	mux.HandleFunc("GET /v1/doctor", s.doctor)
	mux.HandleFunc("GET /v1/etcd/members", s.etcdMembers)
	mux.HandleFunc("POST /v1/etcd/change", s.etcdChange)
	mux.HandleFunc("GET /v1/etcd/snapshot", s.snapshot)
	mux.HandleFunc("GET /v1/gossip-keys", s.gossipKeys)
	mux.HandleFunc("PUT /v1/gossip-keys", s.setGossipKeys)
	mux.HandleFunc("POST /v1/certificate", s.signCertificate)
	mux.HandleFunc("GET /v1/authority", s.authority)
	mux.HandleFunc("PUT /v1/authority", s.setAuthority)
	for _, kind := range []ha.RequestKind{ha.RequestDrain, ha.RequestUndrain, ha.RequestFence, ha.RequestConfirmOff, ha.RequestConfirmTest} {
		mux.HandleFunc("POST /v1/"+string(kind), func(w http.ResponseWriter, r *http.Request) { s.request(w, r, kind) })
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		s.fail(w, &Error{Code: http.StatusNotFound, Message: fmt.Sprintf("no %s %.80q in this API", r.Method, r.URL.Path), Do: "compare hactl version with the daemon's"})
	})
	return s.guarded(mux)
}

// guarded turns away callers whose certificate has lost its authority.
func (s *Server) guarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := s.refused(r); err != nil {
			w.Header().Set("Connection", "close")
			s.fail(w, &Error{Code: http.StatusUnauthorized, Message: fmt.Sprintf("%s is not trusted any more: %v", proven(r, s.backend.View().Self), err),
				Do: "the cluster's authority was replaced; connect again with a certificate of the new one"})
			return
		}
		next.ServeHTTP(w, r)
	})
}

// refused says why a caller is not trusted any more.
func (s *Server) refused(r *http.Request) error {
	if s.trust == nil || r.TLS == nil {
		return nil
	}
	return s.trust.accepts(r.TLS.PeerCertificates)
}

// VersionInfo is the answer of GET /v1/version.
type VersionInfo struct {
	Version string      `json:"version"`
	Node    ha.NodeName `json:"node"`
	Cluster string      `json:"cluster"`
	Role    string      `json:"role"`
}

// request commits an operator's request.
func (s *Server) request(w http.ResponseWriter, r *http.Request, kind ha.RequestKind) {
	var body RequestBody
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&body); err != nil {
		s.fail(w, badRequest("the request's body is not understood: %v", err))
		return
	}
	v := s.backend.View()
	if !v.SnapshotOK || !v.Store.Available {
		s.fail(w, storeError(fmt.Sprintf("%s %s was not recorded", kind, body.Node), fmt.Errorf("%w: %s", ha.ErrUnavailable, v.Store.Reason)))
		return
	}
	if e := CheckRequest(BuildStatus(v), kind, body.Node, body.Force); e != nil {
		s.fail(w, e)
		return
	}
	req, err := buildRequest(v, kind, body.Node, who(body.By, proven(r, v.Self)), s.now(), s.rand)
	if req.Device = body.Device; kind == ha.RequestConfirmTest && req.Device == "" {
		s.fail(w, conflict("a confirm-test names no device", fmt.Sprintf("name the fencing device of %s that was tried", body.Node)))
		return
	}
	if err == nil {
		ctx, cancel := context.WithTimeout(r.Context(), storeTimeout)
		defer cancel()
		err = s.backend.Submit(ctx, req)
	}
	if err != nil {
		s.fail(w, storeError(fmt.Sprintf("%s %s was not recorded", kind, body.Node), err))
		return
	}
	s.log.WithFields(logrus.Fields{"request": req.ID, "kind": req.Kind, "node": req.Node, "by": req.By, "force": body.Force}).Info("operator's request recorded")
	s.answer(w, http.StatusAccepted, RequestAnswer{ID: req.ID, Incarnation: req.Incarnation})
}

// proven says what the connection itself proves about the caller.
func proven(r *http.Request, self ha.NodeName) string {
	if r.TLS != nil && len(r.TLS.PeerCertificates) > 0 {
		return "certificate " + r.TLS.PeerCertificates[0].Subject.CommonName
	}
	uid, ok := r.Context().Value(peerKey{}).(uint32)
	switch {
	case !ok:
		return "not known"
	case uid == 0:
		return fmt.Sprintf("root on %s", self)
	}
	return fmt.Sprintf("uid %d on %s", uid, self)
}

func (s *Server) answer(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	if err := json.NewEncoder(w).Encode(v); err != nil {
		s.log.WithError(err).Debug("API: answer not sent")
	}
}

func (s *Server) fail(w http.ResponseWriter, e *Error) { s.answer(w, e.Code, e) }
