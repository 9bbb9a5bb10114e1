package api_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"bascule/ha"
	"bascule/ha/api"
	"bascule/ha/api/apitest"
	"bascule/ha/waittest"
)

// A renewed certificate is shown to the next caller; a stream that stands is not touched; and while the two files do not fit together, the
// last good pair serves.
func TestARenewedCertificateIsTakenUp(t *testing.T) {
	a := newAuthority(t)
	f := apitest.NewFake(apitest.Well())
	addr := a.serveTLS(f)
	a.issue("alice", nil)
	client := func() *api.Client {
		c, err := api.NewTLSClient(addr, a.file("ca.pem"), a.file("alice.pem"), a.file("alice.key"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.Close)
		return c
	}
	serial := func() *big.Int {
		t.Helper()
		pair, err := tls.LoadX509KeyPair(a.file("alice.pem"), a.file("alice.key"))
		if err != nil {
			t.Fatal(err)
		}
		conn, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true, Certificates: []tls.Certificate{pair}})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		return conn.ConnectionState().PeerCertificates[0].SerialNumber
	}
	first := serial()
	ctx, cancel := context.WithCancel(t.Context())
	lines, ended := make(chan api.EventLine, 8), make(chan error, 1)
	go func() {
		ended <- client().Follow(ctx, api.EventQuery{}, func(l api.EventLine) error { lines <- l; return nil })
	}()
	appear := func(key string) {
		t.Helper()
		f.Append(api.StoredEvent{Key: key, Event: ha.Event{Transition: ha.Transition{Subject: key}}})
		for {
			select {
			case l := <-lines:
				if l.StoredEvent != nil && l.Key == key {
					return
				}
			case err := <-ended:
				t.Fatalf("the stream ended: %v", err)
			case <-time.After(waittest.Hang):
				t.Fatalf("%s did not come over the stream", key)
			}
		}
	}
	appear("event/1")

	old, err := os.ReadFile(a.file("node1.key"))
	if err != nil {
		t.Fatal(err)
	}
	a.issue("node1", []net.IP{net.IPv4(127, 0, 0, 1)})
	fresh, err := os.ReadFile(a.file("node1.key"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(a.file("node1.key"), old, 0o600); err != nil { // between the two renames
		t.Fatal(err)
	}
	if got := serial(); got.Cmp(first) != 0 {
		t.Errorf("with half a pair it shows %v, want the last good one %v", got, first)
	}
	if err := os.WriteFile(a.file("node1.key"), fresh, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := serial(); got.Cmp(first) == 0 {
		t.Error("it still shows the old certificate")
	}
	if _, err := client().Status(t.Context()); err != nil {
		t.Error(err)
	}
	appear("event/2") // over the stream that was there before
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestSnapshot(t *testing.T) {
	a := newAuthority(t)
	f := apitest.NewFake(apitest.Well())
	addr := a.serveTLS(f)
	a.issue("alice", nil)
	c, err := api.NewTLSClient(addr, a.file("ca.pem"), a.file("alice.pem"), a.file("alice.key"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	want := bytes.Repeat([]byte("0123456789"), 100_000)
	f.SetSnapshot(want)
	var got bytes.Buffer
	if err := c.Snapshot(t.Context(), &got); err != nil || !bytes.Equal(got.Bytes(), want) {
		t.Fatalf("%d bytes, want %d: %v", got.Len(), len(want), err)
	}
	f.Fail(errors.New("the disk died"))
	got.Reset()
	if err := c.Snapshot(t.Context(), &got); !errors.Is(err, api.ErrNoAnswer) || !strings.Contains(err.Error(), "broke off") {
		t.Errorf("half a copy looks whole (%d bytes): %v", got.Len(), err)
	}
	f.SetSnapshot(nil)
	var refused *api.Error
	if err := c.Snapshot(t.Context(), &got); !errors.As(err, &refused) || !strings.Contains(refused.Message, "the disk died") {
		t.Errorf("a copy that never began: %v", err)
	}
}

func TestGossipKeysAndCertificates(t *testing.T) {
	a := newAuthority(t)
	f := apitest.NewFake(apitest.Well())
	addr := a.serveTLS(f)
	a.issue("alice", nil)
	c, err := api.NewTLSClient(addr, a.file("ca.pem"), a.file("alice.pem"), a.file("alice.key"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	const secret = "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LTEyMzQ="
	got, err := c.SetGossipKeys(t.Context(), api.GossipKeysBody{Keys: []string{secret}})
	if err != nil || len(got.Keys) != 1 || strings.Contains(strings.Join(got.Keys, ""), secret) {
		t.Fatalf("%+v, %v", got, err)
	}
	if again, err := c.GossipKeys(t.Context()); err != nil || !slices.Equal(again.Keys, got.Keys) {
		t.Errorf("%+v, %v", again, err)
	}
	var refused *api.Error
	if _, err := c.SetGossipKeys(t.Context(), api.GossipKeysBody{}); !errors.As(err, &refused) {
		t.Errorf("no keys: %v", err)
	}
	if _, err := c.SignCertificate(t.Context(), []byte("request")); !errors.As(err, &refused) {
		t.Errorf("a request that cannot be answered: %v", err)
	}
	f.OnSign(func(asker *x509.Certificate, request []byte) ([]byte, error) {
		return []byte("answer to " + string(request) + " of " + asker.Subject.CommonName), nil
	})
	if answer, err := c.SignCertificate(t.Context(), []byte("request")); err != nil || string(answer) != "answer to request of alice" {
		t.Errorf("%s, %v", answer, err)
	}
	rec := httptest.NewRecorder() // over the unix socket nobody shows who he is
	api.NewServer(f, nil).Handler().ServeHTTP(rec, httptest.NewRequest("POST", "/v1/certificate", strings.NewReader(`{"pem":"request"}`)))
	if rec.Code != http.StatusConflict {
		t.Errorf("without a certificate: %d", rec.Code)
	}
}

// A change of whom a member trusts says how it stands then; one that the store would not stand now is told apart from a refusal.
func TestAuthority(t *testing.T) {
	a := newAuthority(t)
	f := apitest.NewFake(apitest.Well())
	addr := a.serveTLS(f)
	a.issue("alice", nil)
	c, err := api.NewTLSClient(addr, a.file("ca.pem"), a.file("alice.pem"), a.file("alice.key"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var refused *api.Error
	if _, err := c.Authority(t.Context()); !errors.As(err, &refused) {
		t.Errorf("of a member that trusts nobody: %v", err)
	}
	trusted := []string{"old"}
	f.OnAuthority(func() (api.Authority, error) {
		return api.Authority{Node: "node1", Trusted: trusted, Signed: "old"}, nil
	}, func(pem []byte) error {
		if string(pem) != "both" {
			return errors.New("not of this site")
		}
		trusted = []string{"old", "new"}
		return nil
	})
	if _, err := c.SetAuthority(t.Context(), api.AuthorityBody{PEM: "other"}); !errors.As(err, &refused) || refused.Code != http.StatusConflict || !strings.Contains(refused.Message, "not of this site") {
		t.Errorf("refused: %v", err)
	}
	f.BusyOnce()
	if _, err := c.SetAuthority(t.Context(), api.AuthorityBody{PEM: "both"}); !errors.As(err, &refused) || refused.Code != http.StatusServiceUnavailable {
		t.Errorf("not now: %v", err)
	}
	got, err := c.SetAuthority(t.Context(), api.AuthorityBody{PEM: "both", Operator: "alice"})
	if err != nil || !slices.Equal(got.Trusted, []string{"old", "new"}) {
		t.Errorf("%+v, %v", got, err)
	}
}
