package pki

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// meet lets two members do a mutual handshake, each by its own clock, with what their files hold now.
func meet(t *testing.T, server, client *home, serverClock, clientClock time.Time) error {
	t.Helper()
	pair := func(h *home) tls.Certificate {
		c, err := tls.LoadX509KeyPair(h.Files.Cert, h.Files.Key)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	a, b := net.Pipe()
	defer a.Close()
	done := make(chan error, 1)
	go func() {
		defer b.Close()
		conn := tls.Server(b, &tls.Config{Certificates: []tls.Certificate{pair(server)}, ClientCAs: server.ca.Pool(), ClientAuth: tls.RequireAndVerifyClientCert,
			Time: func() time.Time { return serverClock }})
		err := conn.Handshake()
		if err == nil {
			_, err = conn.Write([]byte("x"))
		}
		done <- err
	}()
	conn := tls.Client(a, &tls.Config{ServerName: "10.0.0.1", RootCAs: client.ca.Pool(), Certificates: []tls.Certificate{pair(client)},
		Time: func() time.Time { return clientClock }})
	_, err := conn.Read(make([]byte, 1))
	_ = a.Close()
	if err == io.EOF {
		err = nil
	}
	return errors.Join(err, <-done)
}

// What a wrong clock does at a cold start, when every daemon looks at its certificate before it talks to anybody: a clock in the past does
// nothing; clocks that are all wrong alike do nothing; one that has run years ahead keeps its own machine out until it is set, and the
// others, which it cannot harm, go on. Then it is in again, without a restart and without anybody's help.
func TestClocksAtAColdStart(t *testing.T) {
	y1970, y2036 := time.Unix(60, 0), time.Date(2036, 2, 7, 6, 28, 16, 0, time.UTC)
	for _, tt := range []struct {
		what   string
		clocks [2]time.Time
		want   string
	}{
		{"both right", [2]time.Time{today, today}, ""},
		{"one in 1970", [2]time.Time{today, y1970}, ""},
		{"both in 1970", [2]time.Time{y1970, y1970}, ""},
		{"both in 2036", [2]time.Time{y2036, y2036}, ""},
		{"both in 2036, a year apart", [2]time.Time{y2036, y2036.Add(365 * 24 * time.Hour)}, ""},
		{"one in 2036", [2]time.Time{today, y2036}, "expired"},
		{"two years after the last start, both right", [2]time.Time{today.Add(3 * Lifetime), today.Add(3 * Lifetime)}, ""},
	} {
		ca := newCA(t)
		members := [2]*home{newHome(t, ca, today), newHome(t, ca, today)}
		for i, h := range members {
			if f := h.look(tt.clocks[i]); f.Problem != "" {
				t.Fatalf("%s: %+v", tt.what, f)
			}
		}
		err := meet(t, members[0], members[1], tt.clocks[0], tt.clocks[1])
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.what, err, tt.want)
		}
		for _, right := range []time.Time{today, today.Add(24 * time.Hour)} { // the clocks are set
			if tt.clocks[0].After(right) && tt.clocks[0].Before(y2036) {
				continue // they were right
			}
			for _, h := range members {
				if f := h.look(right); f.Problem != "" {
					t.Fatalf("%s, then set: %+v", tt.what, f)
				}
			}
			if err := meet(t, members[0], members[1], right, right); err != nil {
				t.Errorf("%s, then set: %v", tt.what, err)
			}
		}
	}
}
