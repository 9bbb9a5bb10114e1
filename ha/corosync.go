package ha

import (
	"fmt"
	"slices"
)

// CorosyncVotes is what a cluster's corosync.conf says of its votes. It is the configuration, not who votes now. A nil one is not known,
// and nothing is said of it.
type CorosyncVotes struct {
	Nodes       []CorosyncVote `json:"nodes"`                  // by name
	QDevice     int            `json:"qdevice,omitempty"`      // the quorum device's votes; 0: there is none
	QDeviceHost string         `json:"qdevice_host,omitempty"` // where it answers
	TwoNode     bool           `json:"two_node,omitempty"`     // corosync's two_node: one of two is a majority
}

// CorosyncVote is how many votes a node has.
type CorosyncVote struct {
	Node  NodeName `json:"node"`
	Votes int      `json:"votes"`
}

// All is how many votes there are; corosync wants more than half of them.
func (v *CorosyncVotes) All() int {
	n := v.QDevice
	for _, x := range v.Nodes {
		n += x.Votes
	}
	return n
}

// Outlasts says whether the others have corosync's quorum when these nodes are gone, the quorum device with them where there is one.
func (v *CorosyncVotes) Outlasts(gone ...NodeName) bool {
	return v == nil || v.outlasts(gone, v.QDevice)
}

func (v *CorosyncVotes) outlasts(gone []NodeName, device int) bool {
	left, others := device, 0
	for _, x := range v.Nodes {
		if !slices.Contains(gone, x.Node) {
			left += x.Votes
			others++
		}
	}
	return v.TwoNode && len(v.Nodes) == 2 && others == 1 || 2*left > v.All()
}

// Fatal lists the nodes whose loss takes corosync's quorum from all others: their guests could not be recovered.
func (v *CorosyncVotes) Fatal() []NodeName {
	if v == nil {
		return nil
	}
	return v.fatal(v.QDevice)
}

// FatalWithout is Fatal when the quorum device is gone.
func (v *CorosyncVotes) FatalWithout() []NodeName { return v.fatal(0) }

func (v *CorosyncVotes) fatal(device int) []NodeName {
	if v == nil || len(v.Nodes) < 2 {
		return nil // a single node has nobody who could take over
	}
	var out []NodeName
	for _, x := range v.Nodes {
		if !v.outlasts([]NodeName{x.Node}, device) {
			out = append(out, x.Node)
		}
	}
	return out
}

// AddQDevice is what people do about votes that do not outlast a node.
const AddQDevice = "give corosync a third vote: pvecm qdevice setup ADDRESS, with the address of a machine that is not one of the nodes, such as the witness (apt install corosync-qnetd there, corosync-qdevice on the nodes)"

// Remedy is what to say after "it has no quorum", with a leading separator; empty where the votes are not the reason.
func (v *CorosyncVotes) Remedy() string {
	if len(v.Fatal()) == 0 {
		return ""
	}
	device := "without a QDevice"
	if v.QDevice > 0 {
		device = "with a QDevice's " + fmt.Sprint(v.QDevice)
	}
	return fmt.Sprintf(": corosync's %d votes %s do not outlast a node. Bring the other one back, then add a third vote (pvecm qdevice setup)", v.All(), device)
}
