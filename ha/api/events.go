package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"bascule/ha"
)

// EventQuery selects events.
type EventQuery struct {
	After string // only events with a later key
	Limit int    // at most so many, the oldest first; 0 = ha.MaxEvents
	Tail  int    // only the last so many; 0 = all
}

// EventLine is one line of a followed stream: an event, or a notice about the stream itself, or (neither) a sign
// of life.
type EventLine struct {
	*StoredEvent
	Notice string `json:"notice,omitempty"`
}

const (
	aliveEvery = 15 * time.Second // an empty line on a quiet stream, so that both ends notice a dead connection
	retryEvery = 5 * time.Second  // a stream asks the store at least so often, also without a tick
	overlap    = 64               // keys of the past that a stream reads again: leaders' clocks differ, so a key may come late
)

func (q EventQuery) values() url.Values {
	v := url.Values{}
	if q.After != "" {
		v.Set("after", q.After)
	}
	if q.Limit > 0 {
		v.Set("limit", strconv.Itoa(q.Limit))
	}
	if q.Tail > 0 {
		v.Set("tail", strconv.Itoa(q.Tail))
	}
	return v
}

func parseEventQuery(v url.Values) (q EventQuery, follow bool, err *Error) {
	q = EventQuery{After: v.Get("after"), Limit: ha.MaxEvents}
	for name, to := range map[string]*int{"limit": &q.Limit, "tail": &q.Tail} {
		s := v.Get(name)
		if s == "" {
			continue
		}
		n, perr := strconv.Atoi(s)
		if perr != nil || n < 1 {
			return q, false, badRequest("%s=%.40q is not a number above 0", name, s)
		}
		*to = min(n, ha.MaxEvents)
	}
	if len(q.After) > 200 {
		return q, false, badRequest("after= is longer than any key")
	}
	f := v.Get("follow")
	return q, f == "1" || f == "true", nil
}

func (s *Server) events(w http.ResponseWriter, r *http.Request, closing <-chan struct{}) {
	q, follow, bad := parseEventQuery(r.URL.Query())
	if bad != nil {
		s.fail(w, bad)
		return
	}
	var ticks <-chan struct{}
	if follow { // subscribed before the first read, so that nothing falls between the two
		t, end := s.backend.Subscribe()
		defer end()
		ticks = t
	}
	first, err := s.read(r.Context(), q.After, q.Limit)
	if err != nil {
		s.fail(w, storeError("the events cannot be read", err))
		return
	}
	if q.Tail > 0 && len(first) > q.Tail {
		first = first[len(first)-q.Tail:]
	}
	if !follow {
		s.answer(w, http.StatusOK, first)
		return
	}
	st := &stream{server: s, asked: r, w: w, rc: http.NewResponseController(w), after: q.After}
	st.run(r.Context(), first, ticks, closing)
}

func (s *Server) read(ctx context.Context, after string, limit int) ([]StoredEvent, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	evs, err := s.backend.Events(ctx, after, limit)
	if evs == nil {
		evs = []StoredEvent{}
	}
	return evs, err
}

// stream follows events for one caller.
type stream struct {
	server *Server
	asked  *http.Request
	w      http.ResponseWriter
	rc     *http.ResponseController
	after  string   // nothing up to here was asked for
	seen   []string // the last keys that were sent, ascending; at most 2 x overlap
	away   bool     // the store did not answer last time
}

func (st *stream) run(ctx context.Context, first []StoredEvent, ticks, closing <-chan struct{}) {
	if err := st.rc.SetReadDeadline(time.Time{}); err != nil { // the server's would end the stream
		st.server.fail(st.w, &Error{Code: http.StatusInternalServerError, Message: "this connection cannot be followed: " + err.Error()})
		return
	}
	st.w.Header().Set("Content-Type", "application/x-ndjson")
	if len(first) > 0 {
		st.after = first[0].Key // what lies before was not asked for (tail); its own key counts as seen
	}
	alive, retry := time.NewTicker(aliveEvery), time.NewTicker(retryEvery)
	defer alive.Stop()
	defer retry.Stop()
	err := st.send(first)
	for err == nil {
		select {
		case <-ctx.Done():
			return
		case <-closing:
			return
		case <-alive.C:
			if st.server.refused(st.asked) != nil {
				return
			}
			err = st.line(EventLine{})
		case <-ticks:
			err = st.more(ctx)
		case <-retry.C:
			err = st.more(ctx)
		}
	}
}

// more sends what is new. A store that does not answer is told once and asked again.
func (st *stream) more(ctx context.Context) error {
	from := st.after
	if len(st.seen) > overlap {
		from = max(from, st.seen[len(st.seen)-overlap-1])
	}
	evs, err := st.server.read(ctx, from, ha.MaxEvents)
	if err != nil {
		if st.away || ctx.Err() != nil {
			return nil
		}
		st.away = true
		return st.line(EventLine{Notice: fmt.Sprintf("the store does not answer: %v; the stream goes on when it is back", err)})
	}
	if st.away {
		st.away = false
		if err := st.line(EventLine{Notice: "the store answers again"}); err != nil {
			return err
		}
	}
	return st.send(evs)
}

func (st *stream) send(evs []StoredEvent) error {
	for _, e := range evs {
		at, known := slices.BinarySearch(st.seen, e.Key)
		if known {
			continue
		}
		if err := st.line(EventLine{StoredEvent: &e}); err != nil {
			return err
		}
		st.seen = slices.Insert(st.seen, at, e.Key)
		if len(st.seen) > 2*overlap {
			st.seen = slices.Delete(st.seen, 0, 1)
		}
	}
	return st.rc.Flush()
}

// line writes one line within the time that any answer has.
func (st *stream) line(l EventLine) error {
	if err := st.rc.SetWriteDeadline(time.Now().Add(answerTimeout)); err != nil {
		return err
	}
	b := []byte("\n")
	if l.StoredEvent != nil || l.Notice != "" {
		enc, err := json.Marshal(l)
		if err != nil {
			return err
		}
		b = append(enc, '\n')
	}
	if _, err := st.w.Write(b); err != nil {
		return err
	}
	return st.rc.Flush()
}
