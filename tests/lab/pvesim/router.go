package pvesim

import (
	"context"
	"net/url"
	"strconv"
	"strings"
)

// call is one request on its way through the API of the node that carries it out.
type call struct {
	c      *Cluster
	n      *node // who carries it out
	who    *caller
	path   map[string]string // {node}, {vmid} …
	params map[string]string
	route  string
}

func (q *call) vmid() int { return atoiDefault(q.path["vmid"], 0) }

// kind is "qemu" or "lxc", by the path.
func (q *call) kind() string {
	if strings.Contains(q.route, "/lxc") {
		return "lxc"
	}
	return "qemu"
}

func (q *call) flag(name string) bool { return q.params[name] == "1" }

// file reads /etc/pve of the node; empty if the file is missing.
func (q *call) file(p string) []byte {
	data, _ := q.c.fsRead(q.n, p)
	return data
}

// endpoint is one method of one path.
type endpoint struct {
	method, path string
	perm         string // "path privileges"; "" for everybody; {vmid} etc. are filled in
	schema       schema
	handler      func(*call) (any, error)
}

var guestActions = map[string]schema{
	"qemu start":    {"skiplock": "bool", "timeout": "int", "machine": "string", "force-cpu": "string", "stateuri": "string", "targetstorage": "string"},
	"qemu stop":     {"skiplock": "bool", "timeout": "int", "keepActive": "bool", "overrule-shutdown": "bool"},
	"qemu shutdown": {"skiplock": "bool", "timeout": "int", "keepActive": "bool", "forceStop": "bool"},
	"lxc start":     {"skiplock": "bool", "debug": "bool"},
	"lxc stop":      {"skiplock": "bool", "overrule-shutdown": "bool"},
	"lxc shutdown":  {"timeout": "int", "forceStop": "bool"},
}

// endpoints is filled by init: the handlers refer to it through the router.
var endpoints []endpoint

func init() {
	audit := "/ Sys.Audit"
	endpoints = []endpoint{
		{"GET", "/version", "", nil, apiVersion},
		{"GET", "/access/permissions", "", schema{"path": "string", "userid": "string"}, apiPermissions},
		{"GET", "/cluster/status", audit, nil, apiClusterStatus},
		{"GET", "/cluster/resources", "", schema{"type": "enum vm,storage,node,sdn"}, apiResources},
		{"GET", "/cluster/ha/resources", audit, schema{"type": "enum ct,vm"}, apiHAResources},
		{"GET", "/cluster/ha/resources/{sid}", audit, nil, apiHAResource},
		{"GET", "/nodes", "", nil, apiNodes},
		{"GET", "/nodes/{node}/status", "/nodes/{node} Sys.Audit", nil, apiNodeStatus},
		{"GET", "/nodes/{node}/tasks", "", schema{"source": "enum archive,active,all", "vmid": "int", "since": "int", "until": "int",
			"start": "int", "limit": "int", "typefilter": "string", "userfilter": "string", "statusfilter": "string", "errors": "bool"}, apiTasks},
		{"GET", "/nodes/{node}/tasks/{upid}/status", "", nil, apiTaskStatus},
		{"GET", "/nodes/{node}/tasks/{upid}/log", "", schema{"start": "int", "limit": "int", "download": "bool"}, apiTaskLog},
		{"DELETE", "/nodes/{node}/tasks/{upid}", "", nil, apiTaskStop},
		{"GET", "/nodes/{node}/storage", "", schema{"storage": "string", "content": "string", "enabled": "bool", "target": "node", "format": "bool"}, apiNodeStorage},
		{"GET", "/nodes/{node}/storage/{storage}/status", "/storage/{storage} Datastore.Audit|Datastore.AllocateSpace", nil, apiStorageStatus},
		{"GET", "/storage", "", schema{"type": "string"}, apiStorages},
		{"GET", "/storage/{storage}", "/storage/{storage} Datastore.Allocate", nil, apiStorage},
		{"GET", "/pools", "", schema{"poolid": "string", "type": "enum qemu,lxc,storage"}, apiPools},
		{"GET", "/pools/{poolid}", "/pool/{poolid} Pool.Audit", schema{"type": "enum qemu,lxc,storage"}, apiPool},
	}
	for _, kind := range []string{"qemu", "lxc"} {
		list, guest := "/nodes/{node}/"+kind, "/nodes/{node}/"+kind+"/{vmid}"
		show := schema{"current": "bool", "snapshot": "string"}
		endpoints = append(endpoints,
			endpoint{"GET", list, "", schema{"full": "bool"}, apiGuestList},
			endpoint{"GET", guest + "/config", "/vms/{vmid} VM.Audit", show, apiGuestConfig},
			endpoint{"PUT", guest + "/config", "/vms/{vmid} " + configPrivs[kind], configSchemas[kind], apiSetConfig},
			endpoint{"GET", guest + "/status/current", "/vms/{vmid} VM.Audit", nil, apiGuestStatus},
			endpoint{"GET", guest + "/migrate", "/vms/{vmid} VM.Migrate", schema{"target": "node"}, apiMigratePreconditions},
		)
		for _, action := range []string{"start", "stop", "shutdown"} {
			endpoints = append(endpoints, endpoint{"POST", guest + "/status/" + action, "/vms/{vmid} VM.PowerMgmt",
				guestActions[kind+" "+action], apiGuestAction(action)})
		}
	}
	endpoints = append(endpoints,
		endpoint{"POST", "/nodes/{node}/qemu/{vmid}/migrate", "/vms/{vmid} VM.Migrate", schema{"target": "!node", "online": "bool", "force": "bool",
			"with-local-disks": "bool", "with-conntrack-state": "bool", "targetstorage": "string", "bwlimit": "int",
			"migration_type": "enum secure,insecure", "migration_network": "string"}, apiMigrate},
		endpoint{"POST", "/nodes/{node}/lxc/{vmid}/migrate", "/vms/{vmid} VM.Migrate", schema{"target": "!node", "online": "bool", "restart": "bool",
			"timeout": "int", "target-storage": "string", "bwlimit": "int"}, apiMigrate})
}

// match finds the endpoint of a path; its variables are unescaped.
func match(method, path string) (*endpoint, map[string]string) {
	parts := strings.Split(strings.Trim(path, "/"), "/")
next:
	for i := range endpoints {
		e := &endpoints[i]
		pattern := strings.Split(strings.Trim(e.path, "/"), "/")
		if e.method != method || len(pattern) != len(parts) {
			continue
		}
		vars := map[string]string{}
		for j, p := range pattern {
			got, err := url.PathUnescape(parts[j])
			if err != nil {
				got = parts[j]
			}
			if name, ok := strings.CutPrefix(p, "{"); ok {
				vars[strings.TrimSuffix(name, "}")] = got
			} else if p != got {
				continue next
			}
		}
		return e, vars
	}
	return nil, nil
}

// answer carries out a request that arrived at node n. Nil: the node lost power, there is no answer.
func (c *Cluster) answer(ctx context.Context, n *node, q *request) *response {
	if q.outside {
		return &response{status: 404, reason: "no such file '" + q.path + "'"}
	}
	if q.method == "POST" && q.path == "/access/ticket" {
		if !sleep(ctx, c.opt.AuthFail) {
			return nil
		}
		return c.refuseTicket()
	}
	who, refused := c.auth.check(q)
	if refused != nil {
		if !sleep(ctx, c.opt.AuthFail) {
			return nil
		}
		return refused.response()
	}
	e, vars := match(q.method, q.path)
	if e == nil {
		return (&apiError{status: 501, message: "Method '" + q.method + " " + q.path + "' not implemented", bare: true}).response()
	}
	if err := permitted(who, e.perm, vars); err != nil {
		return err.response()
	}
	at := n
	if name, ok := vars["node"]; ok && name != n.Name && name != "localhost" {
		if at = c.nodes[name]; at == nil {
			return die("hostname lookup '%s' failed - failed to get address info for: %s: Temporary failure in name resolution", name, name).response()
		}
	}
	k := &call{c: c, n: at, who: who, path: vars, params: q.params, route: e.path}
	if at != n {
		return c.proxy(ctx, n, at, func() *response { return k.run(e) })
	}
	return k.run(e)
}

// permitted checks the privileges that an endpoint itself asks for.
func permitted(who *caller, perm string, vars map[string]string) *apiError {
	if perm == "" {
		return nil
	}
	path, privs, _ := strings.Cut(perm, " ")
	for name, v := range vars {
		path = strings.ReplaceAll(path, "{"+name+"}", v)
	}
	if !who.has(privs) {
		return forbidden(path, privs)
	}
	return nil
}

func (q *call) run(e *endpoint) *response {
	if err := e.schema.verify(q.params, q.path); err != nil {
		return err.response()
	}
	data, err := e.handler(q)
	if err != nil {
		refusal, ok := err.(*apiError)
		if !ok {
			refusal = die("%v", err)
		}
		return refusal.response()
	}
	if r, ok := data.(result); ok {
		return r.response()
	}
	return result{data: data}.response()
}

// proxy passes a call on to another node, as pveproxy does: what is down or cut off shows only after long delays.
func (c *Cluster) proxy(ctx context.Context, from, to *node, run func() *response) *response {
	gone := func(status int, reason string) *response {
		return (&apiError{status: status, message: reason, empty: true}).response()
	}
	c.mu.Lock()
	powered, connected, session := to.powered, c.connectedLocked(from.Name, to.Name), to.session
	dead := c.now().Sub(c.lost[to.Name])
	c.mu.Unlock()
	switch {
	case !powered:
		delay := c.opt.ProxyNoRoute
		if dead < c.opt.ARPExpiry {
			delay = c.opt.ProxyNoRouteSoon
		}
		if !sleep(ctx, delay) {
			return nil
		}
		return gone(595, "No route to host")
	case !connected:
		if !sleep(ctx, c.opt.ProxyBlackhole) {
			return nil
		}
		return gone(595, "Connection timed out")
	}
	done := make(chan *response, 1)
	go func() {
		limit, cancel := context.WithTimeout(session, c.opt.ProxyBlackhole)
		defer cancel()
		if c.thawed(limit, to) {
			done <- run()
		}
	}()
	timeout, cancel := context.WithTimeout(ctx, c.opt.ProxyBlackhole)
	defer cancel()
	select {
	case resp := <-done:
		if c.connected(from.Name, to.Name) {
			return resp
		}
		<-timeout.Done() // carried out, but the answer is lost
	case <-timeout.Done():
	}
	if ctx.Err() != nil {
		return nil
	}
	return gone(596, "Connection timed out")
}

func intParam(params map[string]string, name string, def int) int {
	v, ok := params[name]
	if !ok {
		return def
	}
	n, err := strconv.Atoi(v)
	if err != nil {
		return def
	}
	return n
}
