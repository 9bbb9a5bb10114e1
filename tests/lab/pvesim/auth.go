package pvesim

import (
	"crypto/subtle"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// authenticator knows the tokens and one ticket of root@pam.
type authenticator struct {
	ticket, csrf string

	mu     sync.Mutex
	tokens map[string]Token
}

func newAuthenticator(tokens []Token, ticket, csrf string) *authenticator {
	a := &authenticator{tokens: map[string]Token{}, ticket: "PVE:root@pam:" + ticket, csrf: csrf}
	for _, t := range tokens {
		a.tokens[t.ID] = t
	}
	return a
}

// RootTicket is a ticket of root@pam (the cookie PVEAuthCookie) and its CSRF prevention token. A token never is
// root@pam: some calls need this.
func (c *Cluster) RootTicket() (ticket, csrf string) { return c.auth.ticket, c.auth.csrf }

// SetPrivileges gives a token another role, from the next request on. Unknown tokens are ignored.
func (c *Cluster) SetPrivileges(token string, privileges ...string) {
	c.auth.mu.Lock()
	defer c.auth.mu.Unlock()
	if t, ok := c.auth.tokens[token]; ok {
		t.Privileges = privileges
		c.auth.tokens[token] = t
	}
}

func (a *authenticator) token(id string) (Token, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	t, ok := a.tokens[id]
	return t, ok
}

// caller is who makes a request.
type caller struct {
	id     string // "root@pam" or "user@realm!token", as UPIDs carry it
	ticket bool
	all    bool // root@pam and its tokens: every privilege
	privs  []string
}

// root says whether the caller is root@pam itself and not a token of it.
func (w *caller) root() bool { return w.ticket && w.id == "root@pam" }

// has says whether the caller has one of the privileges ("A|B"). Roles of the lab lie on "/" and propagate.
func (w *caller) has(privs string) bool {
	if w.all {
		return true
	}
	for _, p := range strings.Split(privs, "|") {
		if slices.Contains(w.privs, p) {
			return true
		}
	}
	return false
}

var tokenPattern = regexp.MustCompile(`^([^!]+@[^!]+![^=]+)=(.+)$`)

func (a *authenticator) check(q *request) (*caller, *apiError) {
	unauthorized := func(message string) *apiError { return &apiError{status: 401, message: message, empty: true} }
	if value, ok := strings.CutPrefix(q.auth, "PVEAPIToken="); ok {
		m := tokenPattern.FindStringSubmatch(value)
		if m == nil {
			return nil, unauthorized("Authentication failed!")
		}
		tok, known := a.token(m[1])
		if !known || subtle.ConstantTimeCompare([]byte(tok.Secret), []byte(m[2])) != 1 {
			return nil, unauthorized("Authentication failed!")
		}
		return &caller{id: tok.ID, all: strings.HasPrefix(tok.ID, "root@pam!"), privs: tok.Privileges}, nil
	}
	if q.ticket == "" {
		return nil, unauthorized("No ticket")
	}
	if subtle.ConstantTimeCompare([]byte(q.ticket), []byte(a.ticket)) != 1 {
		return nil, unauthorized("Authentication failed!")
	}
	if q.method != "GET" && subtle.ConstantTimeCompare([]byte(q.csrf), []byte(a.csrf)) != 1 {
		return nil, unauthorized("Permission denied - invalid csrf token")
	}
	return &caller{id: "root@pam", ticket: true, all: true}, nil
}

// allPrivileges is what root@pam has.
var allPrivileges = strings.Fields(`Datastore.Allocate Datastore.AllocateSpace Datastore.AllocateTemplate Datastore.Audit
	Group.Allocate Mapping.Audit Mapping.Modify Mapping.Use Permissions.Modify Pool.Allocate Pool.Audit Realm.Allocate
	Realm.AllocateUser SDN.Allocate SDN.Audit SDN.Use Sys.AccessNetwork Sys.Audit Sys.Console Sys.Incoming Sys.Modify
	Sys.PowerMgmt Sys.Syslog User.Modify VM.Allocate VM.Audit VM.Backup VM.Clone VM.Config.CDROM VM.Config.CPU
	VM.Config.Cloudinit VM.Config.Disk VM.Config.HWType VM.Config.Memory VM.Config.Network VM.Config.Options VM.Console
	VM.GuestAgent.Audit VM.GuestAgent.FileRead VM.GuestAgent.FileSystemMgmt VM.GuestAgent.FileWrite
	VM.GuestAgent.Unrestricted VM.Migrate VM.PowerMgmt VM.Replicate VM.Snapshot VM.Snapshot.Rollback`)

func apiPermissions(q *call) (any, error) {
	privs := q.who.privs
	if q.who.all {
		privs = allPrivileges
	}
	set := func() object {
		out := object{}
		for _, p := range privs {
			out[p] = 1
		}
		return out
	}
	if p, ok := q.params["path"]; ok {
		return object{p: set()}, nil
	}
	out := object{}
	if len(privs) == 0 {
		return out, nil
	}
	for _, p := range []string{"/", "/access", "/access/groups", "/nodes", "/pool", "/sdn", "/storage", "/vms"} {
		out[p] = set()
	}
	for _, members := range pools(q.file("user.cfg")) {
		for _, vmid := range members {
			out["/vms/"+strconv.Itoa(vmid)] = set()
		}
	}
	return out, nil
}

// apiTicket refuses every password: the lab's users have none.
func (c *Cluster) refuseTicket() *response {
	return (&apiError{status: 401, message: "authentication failure"}).response()
}
