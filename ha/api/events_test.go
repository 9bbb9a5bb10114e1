package api_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"bascule/ha"
	"bascule/ha/api"
	"bascule/ha/api/apitest"
	"bascule/ha/waittest"
)

func event(n int) api.StoredEvent {
	return api.StoredEvent{Key: fmt.Sprintf("event/%06d", n), Event: ha.Event{
		Transition: ha.Transition{Subject: "guest 101", Guest: 101, From: "a", To: "b", Reason: fmt.Sprint("reason ", n)}, At: apitest.Now, Term: 42, By: "node1"}}
}

func keys(evs []api.StoredEvent) string {
	var out []string
	for _, e := range evs {
		out = append(out, strings.TrimLeft(strings.TrimPrefix(e.Key, "event/"), "0"))
	}
	return strings.Join(out, " ")
}

func TestEvents(t *testing.T) {
	f := apitest.NewFake(apitest.Well())
	for n := 1; n <= 5; n++ {
		f.Append(event(n))
	}
	c, _ := serve(t, f)
	for _, tc := range []struct {
		q    api.EventQuery
		want string
	}{
		{api.EventQuery{}, "1 2 3 4 5"},
		{api.EventQuery{Limit: 2}, "1 2"},
		{api.EventQuery{After: event(3).Key}, "4 5"},
		{api.EventQuery{After: event(1).Key, Limit: 2}, "2 3"},
		{api.EventQuery{Tail: 2}, "4 5"},
		{api.EventQuery{After: event(5).Key}, ""},
	} {
		got, err := c.Events(t.Context(), tc.q)
		if err != nil || keys(got) != tc.want {
			t.Errorf("%+v: %q, %v; want %q", tc.q, keys(got), err, tc.want)
		}
		if got == nil {
			t.Errorf("%+v: null on the wire, not []", tc.q)
		}
	}
	got, _ := c.Events(t.Context(), api.EventQuery{Tail: 1})
	if got[0].Reason != "reason 5" || got[0].Guest != 101 || got[0].Term != 42 || !got[0].At.Equal(apitest.Now) {
		t.Errorf("the wire changes an event: %+v", got[0])
	}
}

// TestFollow: what is there, what comes, late keys of a leader whose clock is behind, and each only once; the store
// going away is told and survived.
func TestFollow(t *testing.T) {
	f := apitest.NewFake(apitest.Well())
	f.Append(event(10), event(20), event(30))
	c, _ := serve(t, f)
	stop := errors.New("enough")
	var got []string
	err := c.Follow(t.Context(), api.EventQuery{Tail: 2}, func(l api.EventLine) error {
		if l.StoredEvent == nil {
			got = append(got, "notice")
			if strings.Contains(l.Notice, "does not answer") {
				f.Append(event(50))
				f.Fail(nil)
			}
			return nil
		}
		got = append(got, keys([]api.StoredEvent{*l.StoredEvent}))
		switch len(got) {
		case 2: // the tail is told
			f.Append(event(40))
		case 3:
			f.Append(event(25)) // sorts before what was told last
		case 4:
			f.Fail(ha.ErrUnavailable)
		case 7:
			return stop
		}
		return nil
	})
	if want := "20 30 40 25 notice notice 50"; !errors.Is(err, stop) || strings.Join(got, " ") != want {
		t.Errorf("got %q, %v; want %q", strings.Join(got, " "), err, want)
	}
}

// TestFollowMany: more events than the stream remembers, each told once.
func TestFollowMany(t *testing.T) {
	f := apitest.NewFake(apitest.Well())
	f.Append(event(1))
	c, _ := serve(t, f)
	stop, next := errors.New("enough"), 1
	err := c.Follow(t.Context(), api.EventQuery{}, func(l api.EventLine) error {
		if l.StoredEvent == nil || l.Key != event(next).Key {
			return fmt.Errorf("want event %d, got %+v", next, l)
		}
		if next++; next > 400 {
			return stop
		}
		f.Append(event(next))
		return nil
	})
	if !errors.Is(err, stop) {
		t.Error(err)
	}
}

// TestFollowEnds: by the caller's context without an error, by the server's end with one; no subscription stays.
func TestFollowEnds(t *testing.T) {
	f := apitest.NewFake(apitest.Well())
	f.Append(event(1))
	c, _ := serve(t, f)
	ctx, cancel := context.WithCancel(t.Context())
	if err := c.Follow(ctx, api.EventQuery{}, func(api.EventLine) error { cancel(); return nil }); err != nil {
		t.Errorf("interrupted: %v", err)
	}

	waittest.BestOf(t, func() string {
		if took := serverEnds(t); took > 4*time.Second {
			return fmt.Sprintf("a stream held the server's end up for %v", took)
		}
		return ""
	})
}

// serverEnds ends a server that somebody follows, and says how long that took.
func serverEnds(t *testing.T) time.Duration {
	g := apitest.NewFake(apitest.Well())
	g.Append(event(1))
	sock := t.TempDir() + "/api.sock"
	l, err := api.ListenUnix(sock)
	if err != nil {
		t.Fatal(err)
	}
	ctx2, end := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- api.NewServer(g, nil).Serve(ctx2, l) }()
	d := api.NewClient(sock)
	defer d.Close()
	began := time.Now()
	err = d.Follow(t.Context(), api.EventQuery{}, func(api.EventLine) error { end(); return nil })
	if !errors.Is(err, api.ErrNoAnswer) {
		t.Errorf("server ended: %v", err)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
	took := time.Since(began)
	if n := g.Subscribers(); n != 0 {
		t.Errorf("%d subscriptions left", n)
	}
	return took
}
