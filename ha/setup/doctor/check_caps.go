package doctor

import (
	"fmt"
	"slices"

	"bascule/ha"
)

// Kinds of problems of a fencing device that a check of its own tells, as package fencing names them.
const (
	FaultRights      = "rights"
	FaultUnsupported = "unsupported"
)

// cephBlocklist is the fencing method by Ceph's blocklist, as configurations name it.
const cephBlocklist = "ceph-blocklist"

// caps: whether the account of each ceph-blocklist device may shut a node out. Each node that read the device has tried it: the commands
// of a fencing, on an address that no machine has and an OSD that does not exist, and a question to each placement group.
var caps = check{
	kinds: []Kind{
		{ID: "ceph-caps", Grades: []Severity{Critical, OK}, Title: "The account for Ceph's blocklist lacks rights (caps)",
			Why: "nobody could take a dead node's access to Ceph away: its guests would wait for another proof",
			Do:  "as Ceph's administrator give the account its rights again, all in one command: the finding shows it; docs/fencing/ceph-blocklist.md, Set-up"},
	},
	run: func(x *exam) {
		for _, m := range x.Members {
			for _, d := range x.devices(m.Name, cephBlocklist) {
				lacks, works := x.withFault(m.Name, d, FaultRights)
				f := Finding{ID: "ceph-caps", Node: m.Name, Subject: "device " + d}
				switch {
				case len(lacks) > 0:
					f.Severity, f.Evidence = Critical, fmt.Sprintf("read by %s: %s", words(by(lacks)), lacks[0].Problem)
					if c := x.configured(d); c.Grant != "" {
						f.Remedy = "on a machine with Ceph's admin key: " + c.Grant
					}
				case len(works) > 0:
					f.Severity, f.Evidence = OK, fmt.Sprintf("%s may change the blocklist, and each placement group answers: tried without effect", words(by(works)))
				default:
					continue
				}
				x.add(f)
			}
		}
	},
}

// view is what one node was told by a device.
type view struct {
	by ha.NodeName
	FenceDevice
}

func by(views []view) []ha.NodeName {
	var out []ha.NodeName
	for _, v := range views {
		out = append(out, v.by)
	}
	return out
}

// devices are the names of a node's devices of a method, as far as they were read, in their order.
func (x *exam) devices(n ha.NodeName, method string) []string {
	var out []string
	for _, s := range x.seenBy(n) {
		for _, d := range s.Devices {
			if d.Method == method && !slices.Contains(out, d.Name) {
				out = append(out, d.Name)
			}
		}
	}
	return out
}

// withFault sorts those that read a device: whom it told of this fault, and for whom it works.
func (x *exam) withFault(n ha.NodeName, device, fault string) (lacks, works []view) {
	for _, s := range x.seenBy(n) {
		for _, d := range s.Devices {
			switch {
			case d.Name != device:
			case d.Fault == fault:
				lacks = append(lacks, view{s.by, d})
			case d.Problem == "" && d.Usable:
				works = append(works, view{s.by, d})
			}
		}
	}
	return lacks, works
}

// configured is a fencing device as the first member that has it has it configured.
func (x *exam) configured(device string) Device {
	for _, f := range x.nodes() {
		if f.Config == nil {
			continue
		}
		if i := slices.IndexFunc(f.Config.Devices, func(d Device) bool { return d.Name == device }); i >= 0 {
			return f.Config.Devices[i]
		}
	}
	return Device{}
}
