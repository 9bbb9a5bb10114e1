package pvesim

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// apiServer speaks HTTP/1.1 over TLS on a node's port 8006. It is written by hand because net/http allows neither
// reason phrases of one's own nor the statuses 595 and 596.
type apiServer struct {
	c   *Cluster
	n   *node
	ctx context.Context // ends with the node's power

	mu    sync.Mutex
	conns map[net.Conn]bool // nil after drop
	wg    sync.WaitGroup
}

func (s *apiServer) serve(l net.Listener) {
	for {
		conn, err := l.Accept()
		if err != nil {
			break // closed: the node is off
		}
		s.mu.Lock()
		if s.conns == nil {
			s.mu.Unlock()
			conn.Close()
			continue
		}
		s.conns[conn] = true
		s.wg.Add(1)
		s.mu.Unlock()
		go func() {
			defer s.wg.Done()
			s.serveConn(conn)
			s.mu.Lock()
			delete(s.conns, conn)
			s.mu.Unlock()
		}()
	}
	s.wg.Wait()
}

// drop ends all connections without an answer.
func (s *apiServer) drop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for conn := range s.conns {
		conn.Close()
	}
	s.conns = nil
}

func (s *apiServer) serveConn(raw net.Conn) {
	defer raw.Close()
	if !s.c.thawed(s.ctx, s.n) {
		return
	}
	conn := tls.Server(raw, &tls.Config{Certificates: []tls.Certificate{s.n.cert}, NextProtos: []string{"http/1.1"}})
	handshake, cancel := context.WithTimeout(s.ctx, 30*time.Second)
	err := conn.HandshakeContext(handshake)
	cancel()
	if err != nil {
		return
	}
	reader := bufio.NewReader(conn)
	for {
		req, err := http.ReadRequest(reader)
		if err != nil {
			return
		}
		q, err := readRequest(req)
		if err != nil || !s.c.thawed(s.ctx, s.n) {
			return
		}
		resp := s.c.answer(s.ctx, s.n, q)
		if resp == nil || !s.c.thawed(s.ctx, s.n) {
			return
		}
		keep := !req.Close && req.ProtoAtLeast(1, 1)
		if _, err := conn.Write(resp.bytes(s.c.now(), keep)); err != nil || !keep {
			return
		}
	}
}

// request is a call of the API, apart from the connection it came by.
type request struct {
	method, path string // path without /api2/json, starting with "/"
	outside      bool   // not below /api2/json
	params       map[string]string
	auth         string // Authorization
	ticket, csrf string
}

func readRequest(req *http.Request) (*request, error) {
	q := &request{method: req.Method, params: map[string]string{}, auth: req.Header.Get("Authorization"), csrf: req.Header.Get("CSRFPreventionToken")}
	if cookie, err := req.Cookie("PVEAuthCookie"); err == nil {
		q.ticket = cookie.Value
		if unescaped, err := url.QueryUnescape(q.ticket); err == nil {
			q.ticket = unescaped
		}
	}
	rest, ok := strings.CutPrefix(req.URL.EscapedPath(), "/api2/json")
	q.outside = !ok
	q.path = "/" + strings.Trim(rest, "/")
	merge(q.params, req.URL.Query())
	body, err := io.ReadAll(io.LimitReader(req.Body, 1<<20))
	if err != nil {
		return nil, err
	}
	kind, _, _ := mime.ParseMediaType(req.Header.Get("Content-Type"))
	switch kind {
	case "application/x-www-form-urlencoded":
		form, err := url.ParseQuery(string(body))
		if err != nil {
			return nil, err
		}
		merge(q.params, form)
	case "application/json":
		mergeJSON(q.params, body)
	}
	return q, nil
}

func merge(params map[string]string, values url.Values) {
	for k, v := range values {
		params[k] = strings.Join(v, "\x00") // a list, as Perl's API joins them
	}
}

// mergeJSON takes a JSON object as parameters: Perl's JSON makes true and false 1 and 0.
func mergeJSON(params map[string]string, body []byte) {
	var values map[string]any
	dec := json.NewDecoder(strings.NewReader(string(body)))
	dec.UseNumber()
	if dec.Decode(&values) != nil {
		return
	}
	for k, v := range values {
		switch v := v.(type) {
		case string:
			params[k] = v
		case json.Number:
			params[k] = v.String()
		case bool:
			params[k] = bit(v)
		}
	}
}
