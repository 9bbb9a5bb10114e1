package cephblocklist

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"regexp"
	"syscall"

	"bascule/fencing"
)

// session is one connection to the cluster, for one call.
type session struct {
	*bridge
	d    *device
	self []netip.Addr // from where the cluster sees this member
}

// connect starts a bridge and logs in.
func (d *device) connect(ctx context.Context) (*session, error) {
	secrets, err := checkKeyring(d.s.keyring, d.s.client)
	if err != nil {
		return nil, err
	}
	options := map[string]string{"keyring": d.s.keyring}
	if d.s.monitors != "" {
		options["mon_host"] = d.s.monitors
	}
	if d.s.conf != "" {
		if _, err := os.Stat(d.s.conf); err != nil {
			return nil, fmt.Errorf("%w: conf: %w", fencing.ErrSettings, err)
		}
	}
	b, err := startBridge(ctx, secrets)
	if err != nil {
		return nil, err
	}
	var hello struct {
		Self string `json:"self"`
	}
	if err := b.ask(map[string]any{"op": "connect", "client": d.s.client, "conf": d.s.conf, "options": options}, &hello); err != nil {
		b.close()
		return nil, d.explainConnect(err)
	}
	return &session{bridge: b, d: d, self: ownAddrs(hello.Self)}, nil
}

var entityPattern = regexp.MustCompile(`(\[[0-9a-fA-F:.]+\]|[0-9.]+):[0-9]+/[0-9]+`)

// ownAddrs reads librados' "[v2:10.0.5.11:0/123,v1:…]".
func ownAddrs(text string) (out []netip.Addr) {
	for _, m := range entityPattern.FindAllString(text, -1) {
		if a, _, _, err := parseEntity(m); err == nil {
			out = append(out, a)
		}
	}
	return out
}

// result is a monitor's answer to one command.
type result struct {
	Ret    int    `json:"ret"`
	Out    string `json:"out"`
	Status string `json:"status"`
}

func (s *session) err(r result) error {
	if r.Ret >= 0 {
		return nil
	}
	return &callError{syscall.Errno(-r.Ret), s.clean(r.Status)}
}

// mon sends commands to the monitors, all at the same time.
func (s *session) mon(doing string, commands ...map[string]any) ([]result, error) {
	var got struct {
		Results []result `json:"results"`
	}
	if err := s.ask(map[string]any{"op": "mon", "commands": commands}, &got); err != nil {
		return nil, s.d.explain(doing, err)
	}
	if len(got.Results) != len(commands) {
		return nil, fmt.Errorf("%w: %d answers to %d commands", fencing.ErrRubbish, len(got.Results), len(commands))
	}
	return got.Results, nil
}

// osdMap reads the cluster's map, as the monitors have it now.
func (s *session) osdMap() (*osdMap, error) {
	const doing = "read the map of the OSDs"
	r, err := s.mon(doing, map[string]any{"prefix": "osd dump", "format": "json"})
	if err != nil {
		return nil, err
	}
	if err := s.err(r[0]); err != nil {
		return nil, s.d.explain(doing, err)
	}
	return parseOSDMap(r[0].Out)
}

// watch is who has an image open.
type watch struct {
	Image string `json:"image"`
	Addr  string `json:"addr"`
}

func (s *session) watchers(p pool) ([]watch, error) {
	var got struct {
		Images   *int    `json:"images"`
		Watchers []watch `json:"watchers"`
	}
	if err := s.ask(map[string]any{"op": "watchers", "pool": p.Name}, &got); err != nil {
		return nil, s.d.explain("list who has images of pool "+p.Name+" open", err)
	}
	if got.Images == nil {
		return nil, fmt.Errorf("%w: it does not say how many images pool %s has", fencing.ErrRubbish, p.Name)
	}
	return got.Watchers, nil
}

// crushNode is one line of "ceph osd tree".
type crushNode struct {
	ID       int    `json:"id"`
	Name     string `json:"name"`
	Type     string `json:"type"`
	Children []int  `json:"children"`
}

func parseTree(text string) ([]crushNode, error) {
	var tree struct {
		Nodes []crushNode `json:"nodes"`
	}
	if err := json.Unmarshal([]byte(text), &tree); err != nil || tree.Nodes == nil {
		return nil, fmt.Errorf("%w: its osd tree", fencing.ErrRubbish)
	}
	return tree.Nodes, nil
}
