package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/sirupsen/logrus"

	"bascule/ha"
)

// EtcdMember is one member of the embedded etcd.
type EtcdMember struct {
	ID      string      `json:"id"`              // etcd's own, in hexadecimal
	Node    ha.NodeName `json:"node"`            // "" when the configuration does not know its address
	Peer    string      `json:"peer"`            // host:port
	Spare   bool        `json:"spare,omitempty"` // no member: it may come to vote in the place of one that is gone
	Learner bool        `json:"learner,omitempty"`
	Started bool        `json:"started"`
	Answers bool        `json:"answers"`
	Leader  bool        `json:"leader,omitempty"` // raft's
	DBSize  int64       `json:"db_bytes,omitempty"`
	Problem string      `json:"problem,omitempty"`
}

// EtcdOp is a change of etcd's voters.
type EtcdOp string

// The changes.
const (
	EtcdAdd     EtcdOp = "add"
	EtcdRemove  EtcdOp = "remove"
	EtcdReplace EtcdOp = "replace" // by another node, or, when By is the same, of a voter whose data are lost
)

// EtcdChange asks for a change of etcd's voters.
type EtcdChange struct {
	Op       EtcdOp      `json:"op"`
	Node     ha.NodeName `json:"node"`
	By       ha.NodeName `json:"by,omitempty"` // of a replacement: who votes instead
	Operator string      `json:"operator,omitempty"`
}

// EtcdChangeLimit bounds one change: connections must have stood for 5 s before etcd changes anything, and a learner copies everything.
const EtcdChangeLimit = 90 * time.Second

// etcdMembers lists the members.
func (s *Server) etcdMembers(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), storeTimeout)
	defer cancel()
	list, err := s.backend.EtcdMembers(ctx)
	if err != nil {
		s.fail(w, etcdError("etcd's members cannot be listed", err))
		return
	}
	s.answer(w, http.StatusOK, list)
}

// etcdChange carries a change out and answers when it is done, with the members as they are then.
func (s *Server) etcdChange(w http.ResponseWriter, r *http.Request) {
	var c EtcdChange
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&c); err != nil {
		s.fail(w, badRequest("the change is not understood: %v", err))
		return
	}
	if (c.Op != EtcdAdd && c.Op != EtcdRemove && c.Op != EtcdReplace) || c.Node == "" || (c.By == "") != (c.Op != EtcdReplace) {
		s.fail(w, badRequest("no change of etcd's voters: op %q, node %q, by %q", c.Op, c.Node, c.By))
		return
	}
	rc := http.NewResponseController(w) // without one the server's own limits stand
	_ = rc.SetReadDeadline(time.Time{})
	_ = rc.SetWriteDeadline(time.Now().Add(EtcdChangeLimit + answerTimeout))
	ctx, cancel := context.WithTimeout(r.Context(), EtcdChangeLimit)
	defer cancel()
	by := who(c.Operator, proven(r, s.backend.View().Self))
	log := s.log.WithFields(logrus.Fields{"op": c.Op, "node": c.Node, "instead": c.By, "by": by})
	log.Info("operator's change of etcd's voters begins")
	if err := s.backend.EtcdChange(ctx, c); err != nil {
		log.WithField("reason", err.Error()).Warn("operator's change of etcd's voters is not done")
		s.fail(w, etcdError(fmt.Sprintf("%s %s", c.Op, c.Node), err))
		return
	}
	log.Info("operator's change of etcd's voters is done")
	s.etcdMembers(w, r)
}

// etcdError words a refusal, which says itself what to do next, or what the store said.
func etcdError(doing string, err error) *Error {
	if errors.Is(err, ha.ErrUnavailable) {
		return &Error{Code: http.StatusServiceUnavailable, Message: doing + ": " + err.Error(),
			Do: "hactl status names the voters that do not answer; without a majority of them nothing changes: bring back so many that there is one"}
	}
	return conflict(doing+": "+err.Error(), "hactl etcd members shows how things stand")
}

// EtcdMembers asks for etcd's members.
func (c *Client) EtcdMembers(ctx context.Context) ([]EtcdMember, error) {
	var out []EtcdMember
	return out, c.call(ctx, http.MethodGet, "/v1/etcd/members", nil, &out)
}

// ChangeEtcd asks for a change of etcd's voters and returns the members after it. It takes up to EtcdChangeLimit.
func (c *Client) ChangeEtcd(ctx context.Context, change EtcdChange) ([]EtcdMember, error) {
	var out []EtcdMember
	return out, c.call(ctx, http.MethodPost, "/v1/etcd/change", change, &out)
}
