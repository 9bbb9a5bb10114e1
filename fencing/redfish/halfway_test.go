package redfish_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync/atomic"
	"testing"

	"bascule/fencing"
	"bascule/fencing/redfish"
	"bascule/ha"
)

// diesAfter makes a controller that answers some requests, tells the half of the next answer and hangs up, and from then on hangs up at
// once. What it was asked to do in the request that it breaks off it has done.
func diesAfter(t *testing.T, requests int) *bmc {
	b := newBMC(t, plain)
	normal := b.Config.Handler
	var n atomic.Int64
	b.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if at := n.Add(1); at <= int64(requests) {
			normal.ServeHTTP(w, r)
			return
		} else if at > int64(requests)+1 {
			panic(http.ErrAbortHandler)
		}
		whole := httptest.NewRecorder()
		normal.ServeHTTP(whole, r)
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", strconv.Itoa(max(whole.Body.Len(), 2)))
		w.WriteHeader(http.StatusOK)
		_, _ = w.Write(whole.Body.Bytes()[:whole.Body.Len()/2])
		panic(http.ErrAbortHandler)
	})
	return b
}

// Whatever was told before the controller died half-way, it is no reading and no success; an off least of all.
func TestItDiesHalfWay(t *testing.T) {
	for _, auth := range []string{"basic", "session"} {
		for _, action := range []ha.DeviceAction{ha.DeviceRead, ha.DeviceOff} {
			done := false
			for after := 0; after < 10 && !done; after++ {
				b := diesAfter(t, after)
				b.SetPower(map[ha.DeviceAction]ha.Power{ha.DeviceRead: ha.PowerOff, ha.DeviceOff: ha.PowerOn}[action])
				settings := b.settings()
				settings["auth"] = auth
				d, err := redfish.Method.Power(settings)
				if err != nil {
					t.Fatal(err)
				}
				r := fencing.Reading{Power: ha.PowerUnknown}
				if action == ha.DeviceRead {
					r, err = d.Read(timeLimit(t))
				} else {
					err = d.Off(timeLimit(t))
				}
				if done = err == nil; done && after == 0 {
					t.Errorf("%s, %s: a controller that answered nothing was believed: %+v", auth, action, r)
				}
				if !done && (r.Power != ha.PowerUnknown || !errors.Is(err, fencing.ErrUnreachable) && !errors.Is(err, fencing.ErrRubbish)) {
					t.Errorf("%s, %s, dead after %d answers: %+v, %v", auth, action, after, r, err)
				}
				if heard := b.Heard(); action == ha.DeviceOff && done && len(heard) != 1 {
					t.Errorf("%s: success, but %v was heard", auth, heard)
				}
			}
			if !done {
				t.Errorf("%s, %s: fails even after ten answers", auth, action)
			}
		}
	}
}
