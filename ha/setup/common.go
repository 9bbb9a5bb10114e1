package setup

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"go.yaml.in/yaml/v3"

	"bascule/config"
	"bascule/ha"
)

// Common is the part of the configuration that all members share, as text with the comments that people have written into it.
type Common struct {
	doc yaml.Node
}

// ownKeys are the settings that belong to one node and have no place in the common part.
var ownKeys = []string{"node", "role", "data_dir", "run_dir", "bind_address", "tls", "guard", "proxmox", "api", "log"}

// ErrCommon is wrapped where the common part is not one.
var ErrCommon = errors.New("the common part of the configuration is not usable")

// ParseCommon reads a common part and checks it as basculed would.
func ParseCommon(data []byte) (*Common, error) {
	c := &Common{}
	if err := yaml.Unmarshal(data, &c.doc); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCommon, err)
	}
	if len(c.doc.Content) == 0 || c.doc.Content[0].Kind != yaml.MappingNode {
		return nil, fmt.Errorf("%w: it holds no settings", ErrCommon)
	}
	for _, key := range ownKeys {
		if value(c.root(), key) != nil {
			return nil, fmt.Errorf("%w: %s: belongs to one node; move it to that node's own %s, above the line", ErrCommon, key, Standard.Config())
		}
	}
	_, err := c.Config()
	return c, err
}

func (c *Common) root() *yaml.Node { return c.doc.Content[0] }

// Bytes renders it.
func (c *Common) Bytes() ([]byte, error) {
	var b bytes.Buffer
	enc := yaml.NewEncoder(&b)
	enc.SetIndent(2)
	if err := enc.Encode(&c.doc); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCommon, err)
	}
	return b.Bytes(), enc.Close()
}

// Config is what it says, seen from the first member.
func (c *Common) Config() (*config.Config, error) {
	data, err := c.Bytes()
	if err != nil {
		return nil, err
	}
	first := ""
	if m := value(c.root(), "members"); m != nil && len(m.Content) > 0 {
		if name := value(m.Content[0], "name"); name != nil {
			first = name.Value
		}
	}
	conf, err := config.Parse(Standard.Common(), append(data, []byte("node: "+first+"\n")...))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCommon, err)
	}
	return conf, nil
}

// AddMember appends a member: a witness, or a node that votes where votes are missing and is a spare else.
func (c *Common) AddMember(m config.MemberSettings) {
	list := value(c.root(), "members")
	entry := &yaml.Node{Kind: yaml.MappingNode, Style: yaml.FlowStyle}
	put(entry, "name", string(m.Name))
	put(entry, "address", m.Address)
	if m.Witness {
		put(entry, "witness", "true")
	}
	list.Content = append(list.Content, entry)
}

// RemoveMember takes a node out: of the members, of those that formed the store, its devices and its levels.
func (c *Common) RemoveMember(node ha.NodeName) {
	drop := func(list *yaml.Node, is func(*yaml.Node) bool) {
		if list != nil {
			list.Content = slices.DeleteFunc(list.Content, is)
		}
	}
	named := func(key string) func(*yaml.Node) bool {
		return func(n *yaml.Node) bool { v := value(n, key); return v != nil && v.Value == string(node) }
	}
	drop(value(c.root(), "members"), named("name"))
	if etcd := value(c.root(), "etcd"); etcd != nil {
		drop(value(etcd, "initial_voters"), func(n *yaml.Node) bool { return n.Value == string(node) })
	}
	if fencing := value(c.root(), "fencing"); fencing != nil {
		drop(value(fencing, "devices"), named("node"))
		for _, key := range []string{"levels", "node_after"} {
			if m := value(fencing, key); m != nil {
				remove(m, string(node))
			}
		}
	}
}

// SetInitial says who formed the store.
func (c *Common) SetInitial(voters ...ha.NodeName) {
	list := &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
	for _, v := range voters {
		list.Content = append(list.Content, scalar(string(v)))
	}
	etcd := value(c.root(), "etcd")
	if etcd == nil {
		etcd = &yaml.Node{Kind: yaml.MappingNode}
		c.root().Content = append(c.root().Content, scalar("etcd"), etcd)
	}
	remove(etcd, "initial_voters")
	etcd.Content = append(etcd.Content, scalar("initial_voters"), list)
}

// AddDevice appends a fencing device, in the place of an earlier one of that name.
func (c *Common) AddDevice(d config.DeviceSettings) {
	fencing := value(c.root(), "fencing")
	if fencing == nil {
		fencing = &yaml.Node{Kind: yaml.MappingNode}
		c.root().Content = append(c.root().Content, scalar("fencing"), fencing)
	}
	list := value(fencing, "devices")
	if list == nil {
		list = &yaml.Node{Kind: yaml.SequenceNode}
		fencing.Content = append(fencing.Content, scalar("devices"), list)
	}
	list.Content = slices.DeleteFunc(list.Content, func(n *yaml.Node) bool { v := value(n, "name"); return v != nil && v.Value == d.Name })
	list.Style = 0
	settings := &yaml.Node{Kind: yaml.MappingNode}
	for _, key := range sortedSet(d.Settings) {
		put(settings, key, d.Settings[key])
	}
	entry := &yaml.Node{Kind: yaml.MappingNode}
	put(entry, "name", d.Name)
	put(entry, "node", string(d.Node))
	put(entry, "method", d.Method)
	entry.Content = append(entry.Content, scalar("settings"), settings)
	list.Content = append(list.Content, entry)
}

// value finds a key's value in a mapping; nil: it has none.
func value(m *yaml.Node, key string) *yaml.Node {
	if m == nil || m.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(m.Content); i += 2 {
		if m.Content[i].Value == key {
			return m.Content[i+1]
		}
	}
	return nil
}

// remove takes a key out of a mapping.
func remove(m *yaml.Node, key string) {
	for i := 0; i+1 < len(m.Content); i += 2 {
		if m.Content[i].Value == key {
			m.Content = slices.Delete(m.Content, i, i+2)
			return
		}
	}
}

func put(m *yaml.Node, key, text string) { m.Content = append(m.Content, scalar(key), scalar(text)) }

// scalar is a value; the encoder quotes what needs it, and the tag keeps "true" a truth value and names names.
func scalar(text string) *yaml.Node {
	n := &yaml.Node{Kind: yaml.ScalarNode, Value: text}
	if text == "true" || text == "false" {
		n.Tag = "!!bool"
	} else {
		n.Tag = "!!str"
	}
	return n
}
