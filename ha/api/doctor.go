package api

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"bascule/ha/setup/doctor"
)

// DoctorLimit bounds the gathering of one node's facts; each probe has less.
const DoctorLimit = 20 * time.Second

// turn lets one long look run at a time.
type turn struct {
	mu    sync.Mutex
	since time.Time // zero: none runs
}

// take begins a run, or says when the present one began.
func (t *turn) take(now time.Time) (since time.Time, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.since.IsZero() {
		return t.since, false
	}
	t.since = now
	return now, true
}

func (t *turn) give() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.since = time.Time{}
}

// longer gives an answer more time than the server's own limits.
func longer(w http.ResponseWriter, limit time.Duration) {
	rc := http.NewResponseController(w) // without one the server's own limits stand
	_ = rc.SetReadDeadline(time.Time{})
	_ = rc.SetWriteDeadline(time.Now().Add(limit + answerTimeout))
}

// doctor gathers this node's facts. Nothing is judged here, and no other node is asked for its own.
func (s *Server) doctor(w http.ResponseWriter, r *http.Request) {
	since, ok := s.gathering.take(s.now())
	if !ok {
		s.fail(w, conflict(fmt.Sprintf("a doctor looks at this node already (begun %s ago)", Ago(s.now().Sub(since))),
			fmt.Sprintf("ask again when it is over (it takes at most %v): the disk is measured, and two at once would measure each other", DoctorLimit)))
		return
	}
	defer s.gathering.give()
	longer(w, DoctorLimit)
	ctx, cancel := context.WithTimeout(r.Context(), DoctorLimit)
	defer cancel()
	s.answer(w, http.StatusOK, s.backend.Doctor(ctx))
}

// Doctor asks the daemon to gather its node's facts. It takes up to DoctorLimit.
func (c *Client) Doctor(ctx context.Context) (doctor.Facts, error) {
	var f doctor.Facts
	return f, c.call(ctx, http.MethodGet, "/v1/doctor", nil, &f)
}
