package proxmox

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"bascule/ha"
)

// corosyncConf is the cluster's configuration of corosync. It is readable without quorum.
const corosyncConf = "corosync.conf"

// votes reads corosync's votes. Nil without an error: this node is in no cluster.
func (d *Driver) votes(ctx context.Context) (*ha.CorosyncVotes, error) {
	data, err := d.read(ctx, corosyncConf)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err == nil {
		var v *ha.CorosyncVotes
		if v, err = parseVotes(data); err == nil {
			return v, nil
		}
	}
	return nil, fmt.Errorf("/etc/pve/%s on %s cannot be read: %w; whether corosync's quorum outlasts a node is not known here", corosyncConf, d.node, err)
}

// parseVotes reads nodelist and quorum of a corosync.conf(5). Of a device without votes it takes one, the least.
func parseVotes(data []byte) (*ha.CorosyncVotes, error) {
	v := &ha.CorosyncVotes{}
	err := eachSetting(data, func(path, key, value string) error {
		if path == "nodelist/node" && key == "" {
			v.Nodes = append(v.Nodes, ha.CorosyncVote{Votes: 1})
		}
		if path == "quorum/device" && key == "" {
			v.QDevice = 1
		}
		var err error
		switch path + "/" + key {
		case "nodelist/node/name":
			v.Nodes[len(v.Nodes)-1].Node = ha.NodeName(value)
		case "nodelist/node/quorum_votes":
			v.Nodes[len(v.Nodes)-1].Votes, err = votesOf(value)
		case "quorum/two_node":
			v.TwoNode = value == "1" || value == "yes"
		case "quorum/device/votes":
			v.QDevice, err = votesOf(value)
		case "quorum/device/net/host":
			v.QDeviceHost = value
		}
		return err
	})
	switch {
	case err != nil:
		return nil, err
	case len(v.Nodes) == 0:
		return nil, errors.New("it lists no nodes")
	case slices.ContainsFunc(v.Nodes, func(n ha.CorosyncVote) bool { return n.Node == "" }):
		return nil, errors.New("one of its nodes has no name")
	}
	slices.SortFunc(v.Nodes, func(a, b ha.CorosyncVote) int { return cmp.Compare(a.Node, b.Node) })
	return v, nil
}

func votesOf(text string) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 || n > 1<<16 {
		return 0, fmt.Errorf("%q is no number of votes", text)
	}
	return n, nil
}

// eachSetting walks through nested sections in braces with one "key: value" a line and comments after "#". set hears of each section's begin,
// with an empty key, and of each setting; path is "outer/inner".
func eachSetting(data []byte, set func(path, key, value string) error) error {
	var path []string
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSpace(line)
		key, value := "", ""
		switch name, begins := strings.CutSuffix(line, "{"); {
		case line == "" || strings.HasPrefix(line, "#"):
			continue
		case begins:
			path = append(path, strings.TrimSpace(name))
		case line == "}" && len(path) == 0:
			return errors.New("a section ends that never began")
		case line == "}":
			path = path[:len(path)-1]
			continue
		default:
			key, value, _ = strings.Cut(line, ":")
			if key = strings.TrimSpace(key); key == "" {
				continue
			}
		}
		if err := set(strings.Join(path, "/"), key, strings.TrimSpace(value)); err != nil {
			return err
		}
	}
	if len(path) > 0 {
		return fmt.Errorf("the section %q does not end", strings.Join(path, "/"))
	}
	return nil
}
