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
		if err := parameters["POST /access/ticket"].verify(q.params, nil); err != nil {
			return err.response()
		}
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
	for name, v := range q.params {
		if inPath, ok := vars[name]; ok && inPath != v {
			return badParam(name, "duplicate parameter (already defined in URI) with conflicting values!").response()
		}
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
	accepts := e.accepts()
	if err := accepts.verify(q.params, q.path); err != nil {
		return err.response()
	}
	if err := accepts.restricted(q.params, q.who); err != nil {
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
