package lab

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"
)

// DaemonStatus is what a basculed answers to GET /v1/status: the fields that the lab looks at.
type DaemonStatus struct {
	Leader string `json:"leader"`
	Etcd   struct {
		RaftLeader string `json:"raft_leader"`
	} `json:"etcd"`
	Nodes []struct {
		Name    string `json:"name"`
		State   string `json:"state"`
		Witness bool   `json:"witness"`
		Lease   bool   `json:"lease"` // it stands
		Power   []struct {
			Device  string `json:"device"`
			Ready   bool   `json:"ready"`
			Problem string `json:"problem"`
		} `json:"power"`
		Armed bool `json:"armed"`
	} `json:"nodes"`
	Guests []struct {
		VMID  int    `json:"vmid"`
		State string `json:"state"`
		Node  string `json:"node"`
	} `json:"guests"`
}

// NodeState is a node's state in the answer, or "" if it is not listed.
func (s DaemonStatus) NodeState(name string) string {
	for _, n := range s.Nodes {
		if n.Name == name {
			return n.State
		}
	}
	return ""
}

// Leased says whether a node's lease stands.
func (s DaemonStatus) Leased(name string) bool {
	for _, n := range s.Nodes {
		if n.Name == name {
			return n.Lease
		}
	}
	return false
}

// GuestState is a guest's state and node in the answer, or "" if it is not listed.
func (s DaemonStatus) GuestState(vmid int) (state, node string) {
	for _, g := range s.Guests {
		if g.VMID == vmid {
			return g.State, g.Node
		}
	}
	return "", ""
}

// DaemonEvent is one of basculed's own events.
type DaemonEvent struct {
	At      time.Time `json:"at"`
	Subject string    `json:"subject"`
	Node    string    `json:"node"`
	Guest   int       `json:"guest"`
	From    string    `json:"from"`
	To      string    `json:"to"`
	Reason  string    `json:"reason"`
	Term    int64     `json:"term"`
	By      string    `json:"by"`
}

// apiTimeout bounds one question to a basculed: it may be stopped or starting.
const apiTimeout = 3 * time.Second

// Ask sends GET path to a node's basculed over its unix socket and returns the body of a 200.
func (l *Lab) Ask(ctx context.Context, node, path string) ([]byte, error) {
	client, ok := l.apis[node]
	if !ok {
		return nil, fmt.Errorf("%w as %q", errUnknownNode, node)
	}
	ctx, cancel := context.WithTimeout(ctx, apiTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://unix"+path, nil)
	if err != nil {
		return nil, fmt.Errorf("asking basculed of %s: %w", node, err)
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("basculed of %s does not answer: %w", node, err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, fmt.Errorf("basculed of %s broke off its answer: %w", node, err)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("basculed of %s answers %s %s: %.300s", node, path, resp.Status, data)
	}
	return data, nil
}

// DaemonStatus asks one node's basculed for the cluster's state.
func (l *Lab) DaemonStatus(ctx context.Context, node string) (DaemonStatus, error) {
	var s DaemonStatus
	data, err := l.Ask(ctx, node, "/v1/status")
	if err != nil {
		return s, err
	}
	if err := json.Unmarshal(data, &s); err != nil {
		return s, fmt.Errorf("the status of basculed of %s is not the expected JSON: %w", node, err)
	}
	return s, nil
}

// DaemonEvents asks one node's basculed for the cluster's stored events, the oldest first.
func (l *Lab) DaemonEvents(ctx context.Context, node string) ([]DaemonEvent, error) {
	data, err := l.Ask(ctx, node, "/v1/events")
	if err != nil {
		return nil, err
	}
	var events []DaemonEvent
	if err := json.Unmarshal(data, &events); err != nil {
		return nil, fmt.Errorf("the events of basculed of %s are not the expected JSON: %w", node, err)
	}
	return events, nil
}
