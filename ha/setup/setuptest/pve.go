package setuptest

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// PVE answers pvesh as Proxmox does. It keeps Proxmox's rules: a secret is shown once, a token cannot be made twice, removing a user takes tokens and
// grants along, a new firewall rule is put first, a group that holds rules cannot be removed. It can be kept as JSON.
type PVE struct {
	Roles  map[string]string // role → privileges
	Users  map[string]bool
	Tokens map[string]string // user!name → secret
	ACL    []Grant
	Sets   map[string][]string       // IPSets
	Groups map[string][]Rule         // security groups
	Rules  []Rule                    // the datacenter's
	Made   int                       // tokens so far
	Secret func(token string) string `json:"-"` // makes a token's secret; nil: secret-1, secret-2 …
}

// New is a Proxmox that nobody has touched.
func New() *PVE {
	return &PVE{Roles: map[string]string{"PVEAuditor": "Sys.Audit"}, Users: map[string]bool{"root@pam": true}, Tokens: map[string]string{},
		Sets: map[string][]string{}, Groups: map[string][]Rule{}}
}

// Rule is a firewall rule.
type Rule struct {
	Type   string `json:"type"`
	Action string `json:"action"`
	Proto  string `json:"proto,omitempty"`
	Dport  string `json:"dport,omitempty"`
	Source string `json:"source,omitempty"`
	Enable int    `json:"enable"`
}

// Grant is a line of the access control list.
type Grant struct {
	Path string `json:"path"`
	Role string `json:"roleid"`
	Kind string `json:"type"`
	ID   string `json:"ugid"`
}

// Run answers one command line of pvesh, without the word pvesh.
func (p *PVE) Run(argv []string) ([]byte, error) {
	verb, path := argv[0], argv[1]
	o := map[string]string{}
	for i := 2; i+1 < len(argv); i += 2 {
		o[strings.TrimPrefix(argv[i], "--")] = argv[i+1]
	}
	v, err := p.answer(verb, strings.Split(strings.Trim(path, "/"), "/"), o)
	if err != nil {
		return nil, err
	}
	return json.Marshal(v)
}

func (p *PVE) answer(verb string, at []string, o map[string]string) (any, error) {
	switch {
	case at[0] == "access":
		return p.access(verb, at[1:], o)
	case at[0] == "cluster" && at[1] == "firewall":
		return p.firewall(verb, at[2:], o)
	}
	return nil, fmt.Errorf("no path %v", at)
}

func (p *PVE) access(verb string, at []string, o map[string]string) (any, error) {
	switch at[0] {
	case "roles":
		switch {
		case verb == "get":
			rows := []map[string]string{}
			for id, privs := range p.Roles {
				rows = append(rows, map[string]string{"roleid": id, "privs": privs})
			}
			return rows, nil
		case verb == "create":
			if _, dup := p.Roles[o["roleid"]]; dup {
				return nil, errors.New("role exists")
			}
			p.Roles[o["roleid"]] = o["privs"]
		case verb == "set":
			p.Roles[at[1]] = o["privs"]
		case verb == "delete":
			delete(p.Roles, at[1])
		}
		return nil, nil
	case "acl":
		if verb == "get" {
			return append([]Grant{}, p.ACL...), nil
		}
		return nil, p.grant(o)
	case "users":
		return p.usersAPI(verb, at[1:], o)
	}
	return nil, fmt.Errorf("no path access/%v", at)
}

func (p *PVE) grant(o map[string]string) error {
	if _, ok := p.Roles[o["roles"]]; !ok {
		return errors.New("role does not exist")
	}
	if u := o["users"]; u != "" {
		if !p.Users[u] {
			return errors.New("user does not exist")
		}
		p.ACL = append(p.ACL, Grant{o["path"], o["roles"], "user", u})
	}
	if t := o["tokens"]; t != "" {
		if p.Tokens[t] == "" {
			return errors.New("token does not exist")
		}
		p.ACL = append(p.ACL, Grant{o["path"], o["roles"], "token", t})
	}
	return nil
}

func (p *PVE) usersAPI(verb string, at []string, o map[string]string) (any, error) {
	if len(at) == 0 {
		if verb == "create" {
			p.Users[o["userid"]] = true
			return nil, nil
		}
		rows := []map[string]string{}
		for u := range p.Users {
			rows = append(rows, map[string]string{"userid": u})
		}
		return rows, nil
	}
	user := at[0]
	if !p.Users[user] {
		return nil, errors.New("no such user")
	}
	drop := func(is func(string) bool) {
		maps.DeleteFunc(p.Tokens, func(id, _ string) bool { return is(id) })
		p.ACL = slices.DeleteFunc(p.ACL, func(r Grant) bool { return is(r.ID) })
	}
	switch {
	case len(at) == 1 && verb == "delete":
		drop(func(id string) bool { return id == user || strings.HasPrefix(id, user+"!") })
		delete(p.Users, user)
	case len(at) == 2:
		rows := []map[string]any{}
		for id := range p.Tokens {
			if name, ok := strings.CutPrefix(id, user+"!"); ok {
				rows = append(rows, map[string]any{"tokenid": name, "privsep": 1})
			}
		}
		return rows, nil
	case verb == "create":
		id := user + "!" + at[2]
		if p.Tokens[id] != "" {
			return nil, errors.New("token already exists")
		}
		p.Made++
		p.Tokens[id] = fmt.Sprintf("secret-%d", p.Made)
		if p.Secret != nil {
			p.Tokens[id] = p.Secret(id)
		}
		return map[string]any{"full-tokenid": id, "info": map[string]string{"privsep": o["privsep"]}, "value": p.Tokens[id]}, nil
	case verb == "delete":
		drop(func(id string) bool { return id == user+"!"+at[2] })
	}
	return nil, nil
}

func (p *PVE) firewall(verb string, at []string, o map[string]string) (any, error) {
	switch at[0] {
	case "ipset":
		return p.ipset(verb, at[1:], o)
	case "groups":
		return p.group(verb, at[1:], o)
	}
	switch verb {
	case "get":
		return append([]Rule{}, p.Rules...), nil
	case "create":
		p.Rules = slices.Insert(p.Rules, 0, ruleOf(o))
	case "delete":
		i, _ := strconv.Atoi(at[1])
		p.Rules = slices.Delete(p.Rules, i, i+1)
	}
	return nil, nil
}

func (p *PVE) ipset(verb string, at []string, o map[string]string) (any, error) {
	if len(at) == 0 {
		if verb == "create" {
			p.Sets[o["name"]] = []string{}
			return nil, nil
		}
		rows := []map[string]string{}
		for n := range p.Sets {
			rows = append(rows, map[string]string{"name": n})
		}
		return rows, nil
	}
	have, ok := p.Sets[at[0]]
	switch {
	case !ok:
		return nil, errors.New("no such IPSet")
	case verb == "get":
		rows := []map[string]string{}
		for _, a := range have {
			rows = append(rows, map[string]string{"cidr": a})
		}
		return rows, nil
	case verb == "create" && slices.Contains(have, o["cidr"]):
		return nil, errors.New("address already exists")
	case verb == "create":
		p.Sets[at[0]] = append([]string{o["cidr"]}, have...)
	case len(at) == 2:
		p.Sets[at[0]] = slices.DeleteFunc(have, func(a string) bool { return a == at[1] })
	case len(have) > 0 && o["force"] != "1":
		return nil, errors.New("IPSet is not empty")
	default:
		delete(p.Sets, at[0])
	}
	return nil, nil
}

func (p *PVE) group(verb string, at []string, o map[string]string) (any, error) {
	if len(at) == 0 {
		if verb == "create" {
			p.Groups[o["group"]] = []Rule{}
			return nil, nil
		}
		rows := []map[string]string{}
		for n := range p.Groups {
			rows = append(rows, map[string]string{"group": n})
		}
		return rows, nil
	}
	have, ok := p.Groups[at[0]]
	switch {
	case !ok:
		return nil, errors.New("no such security group")
	case verb == "get":
		return have, nil
	case verb == "create":
		p.Groups[at[0]] = slices.Insert(have, 0, ruleOf(o))
	case len(at) == 2:
		i, _ := strconv.Atoi(at[1])
		p.Groups[at[0]] = slices.Delete(have, i, i+1)
	case len(have) > 0:
		return nil, errors.New("security group is not empty")
	default:
		delete(p.Groups, at[0])
	}
	return nil, nil
}

func ruleOf(o map[string]string) Rule {
	enable, _ := strconv.Atoi(o["enable"])
	return Rule{o["type"], o["action"], o["proto"], o["dport"], o["source"], enable}
}
