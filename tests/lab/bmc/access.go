package bmc

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strings"
	"time"
)

const sessionsPath = "/redfish/v1/SessionService/Sessions"

// handler is what every request passes: the fault first, then the login, then the tree.
func (b *BMC) handler() http.Handler {
	tree := b.routes()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !b.suffer(w, r) {
			return
		}
		if !open(r) && !b.authenticated(r) {
			refuse(w, http.StatusUnauthorized, "NoValidSession", "There is no valid session and no valid user name and password.")
			return
		}
		tree.ServeHTTP(w, r)
	})
}

// open says whether a request needs no login, as the Redfish standard lists them.
func open(r *http.Request) bool {
	path := strings.TrimSuffix(r.URL.Path, "/")
	return path == "/redfish" || path == "/redfish/v1" || (r.Method == http.MethodPost && path == sessionsPath)
}

// connection decides what happens to a new connection.
func (b *BMC) connection() treatment {
	switch kind := b.Fault().Kind; {
	case kind == Refuse:
		return reject
	case kind == DeadWithNode && !b.opt.Machine.Powered():
		return vanish
	}
	return serve
}

// suffer applies the fault to a request. It says whether the request is to be answered normally.
func (b *BMC) suffer(w http.ResponseWriter, r *http.Request) bool {
	for held := false; ; held = true {
		b.mu.Lock()
		fault, changed := b.fault, b.changed
		b.mu.Unlock()
		if held && fault.Kind != Hang && fault.Kind != DeadWithNode {
			panic(http.ErrAbortHandler) // repaired: what hung before is lost
		}
		switch {
		case fault.Kind == Refuse:
			panic(http.ErrAbortHandler) // closes the connection without an answer
		case fault.Kind == Rubbish:
			w.Header().Set("Content-Type", "text/html")
			_, _ = w.Write([]byte("<html><body>Please log in to the web console</body></html>")) // a client that has gone does not matter
			return false
		case fault.Kind == Hang, fault.Kind == DeadWithNode && !b.opt.Machine.Powered():
			select {
			case <-changed:
			case <-r.Context().Done():
				panic(http.ErrAbortHandler)
			case <-b.done:
				panic(http.ErrAbortHandler)
			}
		case fault.Kind == Slow:
			return pause(r, fault.Delay)
		case held:
			panic(http.ErrAbortHandler) // the power is back: what was asked before is lost
		default:
			return true
		}
	}
}

// pause waits; it says false if the client gave up.
func pause(r *http.Request, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-r.Context().Done():
		return false
	}
}

func (b *BMC) authenticated(r *http.Request) bool {
	if token := r.Header.Get("X-Auth-Token"); token != "" {
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, t := range b.sessions {
			if same(t, token) {
				return b.fault.Kind != WrongPassword
			}
		}
		return false
	}
	user, password, ok := r.BasicAuth()
	return ok && b.passes(user, password)
}

func (b *BMC) passes(user, password string) bool {
	right := same(user, b.opt.User) && same(password, b.opt.Password)
	return right && b.Fault().Kind != WrongPassword
}

func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

func (b *BMC) login(w http.ResponseWriter, r *http.Request) {
	var body struct{ UserName, Password string }
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<16)).Decode(&body); err != nil {
		refuse(w, http.StatusBadRequest, "MalformedJSON", "The request body is not valid JSON.")
		return
	}
	if !b.passes(body.UserName, body.Password) {
		refuse(w, http.StatusUnauthorized, "ResourceAtUriUnauthorized", "The user name or password is wrong.")
		return
	}
	id, token := random(4), random(16)
	b.mu.Lock()
	b.sessions[id] = token
	b.mu.Unlock()
	w.Header().Set("X-Auth-Token", token)
	w.Header().Set("Location", sessionsPath+"/"+id)
	answer(w, http.StatusCreated, object{
		"@odata.id": sessionsPath + "/" + id, "@odata.type": "#Session.v1_6_0.Session",
		"Id": id, "Name": "Session", "UserName": body.UserName,
	})
}

func (b *BMC) logout(w http.ResponseWriter, r *http.Request) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.sessions, r.PathValue("id"))
	w.WriteHeader(http.StatusNoContent)
}

func random(bytes int) string {
	raw := make([]byte, bytes)
	_, _ = rand.Read(raw) // never fails
	return hex.EncodeToString(raw)
}
