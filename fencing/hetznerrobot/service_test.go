package hetznerrobot

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"bascule/fencing/fencingtest"
)

const (
	user     = "#ws+fence"
	password = `ro"bot/w+rd&-91aa`
)

// robot is the web service in its documented shapes, over HTTPS, with the servers 321 and 421 of one account.
type robot struct {
	*fencingtest.Service
	mu       sync.Mutex
	t        *testing.T
	resets   map[int]int
	gets     int
	posts    []string // forms, as they came
	wrong    int      // log-ins
	password string   // that it accepts
	said     *reply   // answer to a POST in place of its own
	looked   *reply   // answer to a GET in place of its own
}

// reply is an answer as it goes over the wire.
type reply struct {
	status int
	body   string
}

func newRobot(t *testing.T) *robot {
	b := &robot{t: t, resets: map[int]int{}, password: password}
	b.Service = fencingtest.NewService(t, b)
	t.Cleanup(func() { // another test's service may come to have this one's port: what is known of its password is not the other's
		known.mu.Lock()
		defer known.mu.Unlock()
		delete(known.by, [2]string{b.URL, user})
	})
	return b
}

// settings are what reaches server 321, with the password in a file.
func (b *robot) settings() map[string]string {
	return map[string]string{"server_number": "321", "server_ip": "203.0.113.21", "user": user,
		"password_file": fencingtest.SecretFile(b.t, password), "address": b.URL, "ca_file": b.CAFile()}
}

func (b *robot) Resets() int { b.mu.Lock(); defer b.mu.Unlock(); return b.resets[321] }

func (b *robot) Strangers() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := 0
	for number, times := range b.resets {
		if number != 321 {
			n += times
		}
	}
	return n
}

func (b *robot) WrongLogins() int { b.mu.Lock(); defer b.mu.Unlock(); return b.wrong }

func (b *robot) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	fault := b.Fault()
	if fault == fencingtest.Rubbish {
		fmt.Fprintf(w, "<html>login for %s</html>", r.Header.Get("Authorization"))
		return
	}
	u, p, _ := r.BasicAuth()
	b.mu.Lock()
	accepted := u == user && p == b.password && fault != fencingtest.WrongPassword
	if !accepted {
		b.wrong++
	}
	b.mu.Unlock()
	if !accepted {
		w.WriteHeader(http.StatusUnauthorized)
		fmt.Fprintf(w, `{"error":{"status":401,"code":"UNAUTHORIZED","message":"Unauthorized %s"}}`, strings.Trim(mustJSON(p), `"`))
		return
	}
	var number int
	if _, err := fmt.Sscanf(r.URL.Path, "/reset/%d", &number); err != nil || number != 321 && number != 421 {
		refuse(w, 404, "SERVER_NOT_FOUND", "Server not found")
		return
	}
	if r.Method == http.MethodPost {
		b.post(w, r, number, fault)
		return
	}
	b.get(w, number, fault)
}

func (b *robot) get(w http.ResponseWriter, number int, fault fencingtest.Fault) {
	b.mu.Lock()
	b.gets++
	looked := b.looked
	b.mu.Unlock()
	ip := fmt.Sprintf("203.0.113.%d", number-300)
	if fault == fencingtest.OtherMachine {
		ip = "203.0.113.99"
	}
	switch {
	case looked != nil:
		w.WriteHeader(looked.status)
		io.WriteString(w, looked.body)
	case fault == fencingtest.NotOffered:
		refuse(w, 404, "RESET_NOT_AVAILABLE", "The server has no reset option")
	default:
		fmt.Fprintf(w, `{"reset":{"server_ip":%q,"server_ipv6_net":"2001:db8:%d::","server_number":%d,"type":["power","power_long","hw","man"],"operating_status":"running"}}`, ip, number, number)
	}
}

func (b *robot) post(w http.ResponseWriter, r *http.Request, number int, fault fencingtest.Fault) {
	body, err := io.ReadAll(r.Body)
	if err != nil || r.Header.Get("Content-Type") != "application/x-www-form-urlencoded" {
		refuse(w, 400, "INVALID_INPUT", "invalid input")
		return
	}
	b.mu.Lock()
	b.posts = append(b.posts, string(body))
	said := b.said
	if fault != fencingtest.Refuses && fault != fencingtest.Lies && said == nil {
		b.resets[number]++
	}
	b.mu.Unlock()
	switch {
	case said != nil:
		w.WriteHeader(said.status)
		io.WriteString(w, said.body)
	case fault == fencingtest.Refuses:
		refuse(w, 500, "RESET_FAILED", "Resetting failed due to an internal error")
	case fault == fencingtest.DiesHalfWay:
		panic(http.ErrAbortHandler)
	case fault == fencingtest.HangsHalfWay:
		b.Hang(r)
	default:
		fmt.Fprintf(w, `{"reset":{"server_ip":"203.0.113.%d","server_ipv6_net":"2001:db8:%d::","server_number":%d,"type":"hw"}}`, number-300, number, number)
	}
}

func refuse(w http.ResponseWriter, status int, code, message string) {
	w.WriteHeader(status)
	fmt.Fprintf(w, `{"error":{"status":%d,"code":%q,"message":%q}}`, status, code, message)
}

func mustJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}
