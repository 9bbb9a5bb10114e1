package setup

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// fakePVE keeps Proxmox's rules: a secret is shown once, a token cannot be made twice, removing a user takes tokens and grants along, a new
// firewall rule is put first, a group that holds rules cannot be removed.
type fakePVE struct {
	roles  map[string]string
	users  map[string]bool
	tokens map[string]string // user!name → secret
	acl    []aclRow
	sets   map[string][]string
	groups map[string][]fwRule
	rules  []fwRule
	made   int
}

type aclRow struct {
	Path string `json:"path"`
	Role string `json:"roleid"`
	Kind string `json:"type"`
	ID   string `json:"ugid"`
}

func (p *fakePVE) run(argv []string) ([]byte, error) {
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

func (p *fakePVE) answer(verb string, at []string, o map[string]string) (any, error) {
	switch {
	case at[0] == "access":
		return p.access(verb, at[1:], o)
	case at[0] == "cluster" && at[1] == "firewall":
		return p.firewall(verb, at[2:], o)
	}
	return nil, fmt.Errorf("no path %v", at)
}

func (p *fakePVE) access(verb string, at []string, o map[string]string) (any, error) {
	switch at[0] {
	case "roles":
		switch {
		case verb == "get":
			rows := []roleRow{}
			for id, privs := range p.roles {
				rows = append(rows, roleRow{id, privs})
			}
			return rows, nil
		case verb == "create":
			if _, dup := p.roles[o["roleid"]]; dup {
				return nil, errors.New("role exists")
			}
			p.roles[o["roleid"]] = o["privs"]
		case verb == "set":
			p.roles[at[1]] = o["privs"]
		case verb == "delete":
			delete(p.roles, at[1])
		}
		return nil, nil
	case "acl":
		if verb == "get" {
			return append([]aclRow{}, p.acl...), nil
		}
		return nil, p.grant(o)
	case "users":
		return p.usersAPI(verb, at[1:], o)
	}
	return nil, fmt.Errorf("no path access/%v", at)
}

func (p *fakePVE) grant(o map[string]string) error {
	if _, ok := p.roles[o["roles"]]; !ok {
		return errors.New("role does not exist")
	}
	if u := o["users"]; u != "" {
		if !p.users[u] {
			return errors.New("user does not exist")
		}
		p.acl = append(p.acl, aclRow{o["path"], o["roles"], "user", u})
	}
	if t := o["tokens"]; t != "" {
		if p.tokens[t] == "" {
			return errors.New("token does not exist")
		}
		p.acl = append(p.acl, aclRow{o["path"], o["roles"], "token", t})
	}
	return nil
}

func (p *fakePVE) usersAPI(verb string, at []string, o map[string]string) (any, error) {
	if len(at) == 0 {
		if verb == "create" {
			p.users[o["userid"]] = true
			return nil, nil
		}
		rows := []map[string]string{}
		for u := range p.users {
			rows = append(rows, map[string]string{"userid": u})
		}
		return rows, nil
	}
	user := at[0]
	if !p.users[user] {
		return nil, errors.New("no such user")
	}
	drop := func(is func(string) bool) {
		maps.DeleteFunc(p.tokens, func(id, _ string) bool { return is(id) })
		p.acl = slices.DeleteFunc(p.acl, func(r aclRow) bool { return is(r.ID) })
	}
	switch {
	case len(at) == 1 && verb == "delete":
		drop(func(id string) bool { return id == user || strings.HasPrefix(id, user+"!") })
		delete(p.users, user)
	case len(at) == 2:
		rows := []map[string]any{}
		for id := range p.tokens {
			if name, ok := strings.CutPrefix(id, user+"!"); ok {
				rows = append(rows, map[string]any{"tokenid": name, "privsep": 1})
			}
		}
		return rows, nil
	case verb == "create":
		id := user + "!" + at[2]
		if p.tokens[id] != "" {
			return nil, errors.New("Token already exists.")
		}
		p.made++
		p.tokens[id] = fmt.Sprintf("secret-%d", p.made)
		return map[string]any{"full-tokenid": id, "info": map[string]string{"privsep": o["privsep"]}, "value": p.tokens[id]}, nil
	case verb == "delete":
		drop(func(id string) bool { return id == user+"!"+at[2] })
	}
	return nil, nil
}

func (p *fakePVE) firewall(verb string, at []string, o map[string]string) (any, error) {
	switch at[0] {
	case "ipset":
		return p.ipset(verb, at[1:], o)
	case "groups":
		return p.group(verb, at[1:], o)
	}
	switch verb {
	case "get":
		return append([]fwRule{}, p.rules...), nil
	case "create":
		p.rules = slices.Insert(p.rules, 0, ruleOf(o))
	case "delete":
		i, _ := strconv.Atoi(at[1])
		p.rules = slices.Delete(p.rules, i, i+1)
	}
	return nil, nil
}

func (p *fakePVE) ipset(verb string, at []string, o map[string]string) (any, error) {
	if len(at) == 0 {
		if verb == "create" {
			p.sets[o["name"]] = []string{}
			return nil, nil
		}
		rows := []named{}
		for n := range p.sets {
			rows = append(rows, named{Name: n})
		}
		return rows, nil
	}
	have, ok := p.sets[at[0]]
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
		p.sets[at[0]] = append([]string{o["cidr"]}, have...)
	case len(at) == 2:
		p.sets[at[0]] = slices.DeleteFunc(have, func(a string) bool { return a == at[1] })
	case len(have) > 0 && o["force"] != "1":
		return nil, errors.New("IPSet is not empty")
	default:
		delete(p.sets, at[0])
	}
	return nil, nil
}

func (p *fakePVE) group(verb string, at []string, o map[string]string) (any, error) {
	if len(at) == 0 {
		if verb == "create" {
			p.groups[o["group"]] = []fwRule{}
			return nil, nil
		}
		rows := []named{}
		for n := range p.groups {
			rows = append(rows, named{Group: n})
		}
		return rows, nil
	}
	have, ok := p.groups[at[0]]
	switch {
	case !ok:
		return nil, errors.New("no such security group")
	case verb == "get":
		return have, nil
	case verb == "create":
		p.groups[at[0]] = slices.Insert(have, 0, ruleOf(o))
	case len(at) == 2:
		i, _ := strconv.Atoi(at[1])
		p.groups[at[0]] = slices.Delete(have, i, i+1)
	case len(have) > 0:
		return nil, errors.New("security group is not empty")
	default:
		delete(p.groups, at[0])
	}
	return nil, nil
}

func ruleOf(o map[string]string) fwRule {
	return fwRule{o["type"], o["action"], o["proto"], text(o["dport"]), o["source"], text(o["enable"])}
}
