package redfish_test

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"bascule/fencing/fencingtest"
	"bascule/ha"
)

const (
	user     = "fence-operator"
	password = `pa"ss/w+rd&-7c1e`
)

// shape is how one maker's firmware answers.
type shape struct {
	name    string
	id      string   // of the system
	slash   bool     // insists on a slash at the end, redirects without
	others  []string // further systems that it serves
	uuid    string   // as it writes the machine's
	offered []string // allowable reset types; nil: not listed
	target  bool     // tells the action's target
	already int      // answer to a reset into the state that the machine has, 0: accepts
	ok      int      // status of an accepted reset
	extra   string   // further members of the system, JSON
}

var plain = shape{name: "plain", id: "1", uuid: fencingtest.UUID, target: true, ok: 204}

// bmc is a small management controller with a machine, over HTTPS.
type bmc struct {
	*fencingtest.Service
	mu     sync.Mutex
	t      *testing.T
	sh     shape
	power  ha.Power
	word   any // PowerState as is, instead of the power's
	slow   int
	heard  []ha.DeviceAction
	sent   []string // bodies of resets
	open   map[string]bool
	opened int
}

func newBMC(t *testing.T, sh shape) *bmc {
	b := &bmc{t: t, sh: sh, power: ha.PowerOn, open: map[string]bool{}}
	b.Service = fencingtest.NewService(t, b)
	return b
}

// settings are what reaches the controller, with the password in a file.
func (b *bmc) settings() map[string]string {
	return map[string]string{"url": b.URL, "user": user, "password_file": fencingtest.SecretFile(b.t, password), "fingerprint": b.fingerprint()}
}

func (b *bmc) fingerprint() string { return fmt.Sprintf("%X", sha256.Sum256(b.Certificate().Raw)) }

func (b *bmc) Power() ha.Power { b.mu.Lock(); defer b.mu.Unlock(); return b.power }

func (b *bmc) SetPower(p ha.Power) { b.mu.Lock(); defer b.mu.Unlock(); b.power = p }

func (b *bmc) Heard() []ha.DeviceAction {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]ha.DeviceAction{}, b.heard...)
}

func (b *bmc) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	fault := b.Fault()
	if fault == fencingtest.Rubbish {
		fmt.Fprintf(w, "<html>you sent %v</html>", r.Header)
		return
	}
	path := strings.TrimRight(r.URL.Path, "/")
	if path == "/redfish/v1" {
		b.write(w, 200, `{"@odata.id":"/redfish/v1/","Systems":{"@odata.id":"/redfish/v1/Systems"},"Links":{"Sessions":{"@odata.id":"/redfish/v1/SessionService/Sessions"}}}`)
		return
	}
	if strings.HasPrefix(path, "/redfish/v1/SessionService/Sessions") && b.session(w, r, path, fault) {
		return
	}
	if fault == fencingtest.WrongPassword || !b.knows(r) {
		b.refuse(w, 401, "Base.1.8.NoValidSession", "not accepted: "+r.Header.Get("Authorization")+" "+password)
		return
	}
	b.resource(w, r, path)
}

func (b *bmc) knows(r *http.Request) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	u, p, ok := r.BasicAuth()
	return ok && u == user && p == password || b.open[r.Header.Get("X-Auth-Token")]
}

func (b *bmc) session(w http.ResponseWriter, r *http.Request, path string, fault fencingtest.Fault) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch r.Method {
	case http.MethodPost:
		var login struct{ UserName, Password string }
		if err := json.NewDecoder(r.Body).Decode(&login); err != nil || login.UserName != user || login.Password != password || fault == fencingtest.WrongPassword {
			b.refuse(w, 401, "Base.1.8.NoValidSession", "no session for "+login.Password)
			return true
		}
		b.opened++
		token := fmt.Sprintf("token-%d", b.opened)
		b.open[token] = true
		w.Header().Set("X-Auth-Token", token)
		w.Header().Set("Location", "/redfish/v1/SessionService/Sessions/"+token)
		b.write(w, 201, `{}`)
		return true
	case http.MethodDelete:
		delete(b.open, path[strings.LastIndex(path, "/")+1:])
		w.WriteHeader(204)
		return true
	}
	return false
}

func (b *bmc) resource(w http.ResponseWriter, r *http.Request, path string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	self := "/redfish/v1/Systems/" + b.sh.id
	switch {
	case path == "/redfish/v1/Systems" && r.Method == http.MethodGet:
		var members []map[string]string
		for _, id := range append([]string{b.sh.id}, b.sh.others...) {
			members = append(members, map[string]string{"@odata.id": "/redfish/v1/Systems/" + id + b.tail()})
		}
		b.write(w, 200, encode(map[string]any{"Members": members, "Members@odata.count": len(members)}))
	case path == self && b.sh.slash && !strings.HasSuffix(r.URL.Path, "/"):
		http.Redirect(w, r, self+"/", http.StatusPermanentRedirect)
	case path == self && r.Method == http.MethodGet:
		b.write(w, 200, b.system(self))
	case path == self+"/Actions/ComputerSystem.Reset" && r.Method == http.MethodPost:
		b.reset(w, r)
	default:
		b.refuse(w, 404, "Base.1.8.ResourceMissingAtURI", "not here")
	}
}

func (b *bmc) tail() string {
	if b.sh.slash {
		return "/"
	}
	return ""
}

func (b *bmc) system(self string) string {
	words := map[ha.Power]any{ha.PowerOn: "On", ha.PowerOff: "Off", ha.PowerPoweringOn: "PoweringOn", ha.PowerPoweringOff: "PoweringOff"}
	s := map[string]any{"@odata.id": self + b.tail(), "Id": b.sh.id, "Name": "System", "PowerState": words[b.power], "UUID": b.sh.uuid}
	if b.word != nil {
		s["PowerState"] = b.word
	}
	if b.Fault() == fencingtest.OtherMachine {
		s["UUID"] = fencingtest.OtherUUID
	}
	action := map[string]any{}
	if b.sh.target {
		action["target"] = self + "/Actions/ComputerSystem.Reset" + b.tail()
	}
	if b.sh.offered != nil {
		action["ResetType@Redfish.AllowableValues"] = b.sh.offered
	}
	if len(action) > 0 {
		s["Actions"] = map[string]any{"#ComputerSystem.Reset": action}
	}
	if b.sh.extra != "" {
		if err := json.Unmarshal([]byte(b.sh.extra), &s); err != nil {
			b.t.Errorf("shape %s: %v", b.sh.name, err)
		}
	}
	if b.power == ha.PowerPoweringOff {
		if b.slow--; b.slow < 0 {
			b.power = ha.PowerOff
			s["PowerState"] = "Off"
		}
	}
	return encode(s)
}

func (b *bmc) reset(w http.ResponseWriter, r *http.Request) {
	var body struct{ ResetType string }
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		b.refuse(w, 400, "Base.1.8.MalformedJSON", "what?")
		return
	}
	action, to := ha.DeviceAction(body.ResetType), b.power
	switch body.ResetType {
	case "ForceOff":
		action, to = ha.DeviceOff, ha.PowerOff
	case "On":
		action, to = ha.DeviceOn, ha.PowerOn
	}
	b.heard, b.sent = append(b.heard, action), append(b.sent, body.ResetType)
	switch {
	case b.Fault() == fencingtest.Refuses:
		b.refuse(w, 403, "Base.1.8.InsufficientPrivilege", "not with this account")
		return
	case b.sh.already != 0 && to == b.power:
		b.refuse(w, b.sh.already, "IDRAC.2.8.PSU501", "Server is already powered "+strings.ToUpper(string(to))+".")
		return
	case b.Fault() == fencingtest.Lies:
	case b.Fault() == fencingtest.SlowOff && to == ha.PowerOff:
		b.power, b.slow = ha.PowerPoweringOff, fencingtest.SlowReads
	default:
		b.power = to
	}
	if b.sh.ok == 200 {
		b.write(w, 200, `{"error":{"code":"Base.1.0.ExtendedInfo","@Message.ExtendedInfo":[{"MessageId":"Base.1.0.Success"}]}}`)
		return
	}
	w.WriteHeader(b.sh.ok)
}

func (b *bmc) write(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	fmt.Fprint(w, body)
}

func (b *bmc) refuse(w http.ResponseWriter, status int, id, message string) {
	b.write(w, status, encode(map[string]any{"error": map[string]any{
		"code": "Base.1.8.GeneralError", "message": "A general error has occurred. See ExtendedInfo",
		"@Message.ExtendedInfo": []map[string]any{{"MessageId": id, "Message": message}},
	}}))
}

func encode(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}
