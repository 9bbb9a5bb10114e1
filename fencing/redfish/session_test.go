package redfish_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"bascule/fencing"
	"bascule/ha/waittest"
)

// hangsAfterLogin makes a controller that opens a session and then answers nothing but, if it may, the log-out.
func hangsAfterLogin(t *testing.T, logout bool) *bmc {
	b := newBMC(t, plain)
	normal := b.Config.Handler
	b.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/redfish/v1/Systems" || r.Method == http.MethodDelete && !logout {
			b.Hang(r)
			return
		}
		normal.ServeHTTP(w, r)
	})
	return b
}

func TestASessionIsClosedEvenWhenTheTimeIsUp(t *testing.T) {
	limit := 500 * time.Millisecond
	waittest.BestOf(t, func() string { // by then it must have logged in
		b := hangsAfterLogin(t, true)
		settings := b.settings()
		settings["auth"] = "session"
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		defer cancel()
		limit *= 2
		if _, err := open(t, settings).Read(ctx); !errors.Is(err, fencing.ErrTimeout) {
			t.Errorf("a hanging controller: %v, want a time-out", err)
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.opened != 1 || len(b.open) != 0 {
			return fmt.Sprintf("%d sessions opened, %d left open; want 1 and 0", b.opened, len(b.open))
		}
		return ""
	})
}

func TestALogOutThatHangsIsGivenUp(t *testing.T) {
	settings := hangsAfterLogin(t, false).settings()
	settings["auth"] = "session"
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	got := make(chan error, 1)
	d := open(t, settings)
	go func() { _, err := d.Read(ctx); got <- err }()
	select {
	case err := <-got:
		if !errors.Is(err, fencing.ErrTimeout) {
			t.Errorf("%v, want a time-out", err)
		}
	case <-time.After(waittest.Hang):
		t.Error("the command waits for its log-out for ever")
	}
}
