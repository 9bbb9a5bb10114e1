package pve

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Quorum is what corosync counts now.
type Quorum struct {
	Expected int // votes
	Total    int // votes that are there
	Device   int // of them the quorum device's; -1: corosync knows none
}

// ErrQuorum is wrapped where the answer of corosync-quorumtool is not understood.
var ErrQuorum = errors.New("corosync-quorumtool's answer is not understood")

// ParseQuorum reads the answer of `corosync-quorumtool -s` (corosync 3.1). A device that gives no vote is listed with 0 of them.
func ParseQuorum(text string) (Quorum, error) {
	q := Quorum{Expected: -1, Total: -1, Device: -1}
	members := false
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if members = members || strings.HasPrefix(line, "Membership information"); members {
			if len(words) >= 3 && words[2] == "Qdevice" {
				if id, err := strconv.ParseUint(words[0], 0, 32); err == nil && id == 0 {
					q.Device = votes(words[1])
				}
			}
			continue
		}
		if key, value, ok := strings.Cut(line, ":"); ok {
			switch key {
			case "Expected votes":
				q.Expected = votes(strings.TrimSpace(value))
			case "Total votes":
				q.Total = votes(strings.TrimSpace(value))
			}
		}
	}
	if q.Expected < 0 || q.Total < 0 {
		return Quorum{}, fmt.Errorf("%w: it has no number of expected and total votes", ErrQuorum)
	}
	return q, nil
}

// votes is a number of votes; -1: it is none.
func votes(text string) int {
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 || n > maxVotes {
		return -1
	}
	return n
}
