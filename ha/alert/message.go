package alert

import (
	"time"

	"bascule/ha"
)

// Message is what commands and webhooks get as JSON.
type Message struct {
	Version  int         `json:"version"` // of this format: 1
	Cluster  string      `json:"cluster"`
	Severity Severity    `json:"severity"`
	Kind     string      `json:"kind"` // stable, see Kinds
	Text     string      `json:"text"` // for people, one line
	Subject  string      `json:"subject"`
	Node     ha.NodeName `json:"node,omitempty"`
	Guest    ha.VMID     `json:"guest,omitempty"`
	From     string      `json:"from"`
	To       string      `json:"to"`
	Reason   string      `json:"reason"`
	At       time.Time   `json:"at"`
	Term     ha.Term     `json:"term,omitempty"`
	By       ha.NodeName `json:"by,omitempty"` // the node that saw it
}

func newMessage(cluster string, k Kind, e ha.Event) Message {
	t := e.Transition
	return Message{
		Version: 1, Cluster: cluster, Severity: k.Severity, Kind: k.ID, Text: Text(t), Subject: t.Subject, Node: t.Node, Guest: t.Guest,
		From: t.From, To: t.To, Reason: t.Reason, At: e.At.UTC(), Term: e.Term, By: e.By,
	}
}
