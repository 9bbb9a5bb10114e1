package doctor

import (
	"fmt"
	"slices"

	"bascule/ha"
)

// scsiReservations is the fencing method by SCSI-3 persistent reservations, as configurations name it.
const scsiReservations = "scsi-pr"

// reservations: whether the LUNs that are to be fenced by reservations know them, and whether others would.
var reservations = check{
	kinds: []Kind{
		{ID: "lun-reservations-missing", Grades: []Severity{Critical}, Title: "A LUN does not support the reservations that it is to be fenced by",
			Why: "nobody could take a dead node's access to this LUN away: its guests would wait for another proof",
			Do:  "switch SCSI-3 persistent reservations, and their keeping over a power loss (APTPL), on in the array for this LUN (sg_persist --in --report-capabilities DEVICE shows what it knows), or fence the node by another method; docs/fencing/scsi-pr.md"},
		{ID: "lun-reservations-unused", Grades: []Severity{Info}, Title: "A shared LVM storage could be fenced by its LUNs' reservations, and is not",
			Why: "its LUNs know SCSI-3 persistent reservations: a proof that needs no other hardware, works while nobody reaches the node, and takes fractions of a second",
			Do:  "add a scsi-pr device for each node (docs/fencing/scsi-pr.md, Set-up), beside what is there"},
	},
	run: func(x *exam) {
		for _, m := range x.Members {
			for _, d := range x.devices(m.Name, scsiReservations) {
				if lacks, _ := x.withFault(m.Name, d, FaultUnsupported); len(lacks) > 0 {
					x.add(Finding{ID: "lun-reservations-missing", Severity: Critical, Node: m.Name, Subject: "device " + d, Evidence: fmt.Sprintf("read by %s: %s", words(by(lacks)), lacks[0].Problem)})
				}
			}
		}
		for _, name := range x.sharedNames() {
			x.unused(name)
		}
	},
}

// unused looks whether all LUNs of a shared volume group know reservations, by those nodes that could ask them, and nobody uses them.
func (x *exam) unused(storage string) {
	var devices []string
	var asked []ha.NodeName
	for _, f := range x.agents() {
		if f.Config != nil && slices.ContainsFunc(f.Config.Devices, func(d Device) bool { return d.Method == scsiReservations && slices.Contains(d.Storages, storage) }) {
			return
		}
		s := storageOf(f, storage)
		if s == nil || s.Group == "" {
			continue
		}
		for _, l := range f.Luns {
			answer, told := f.Reservations[l.WWN]
			if !slices.Contains(l.Groups, s.Group) || !told {
				continue
			}
			if answer != Reservable {
				return
			}
			if !slices.Contains(devices, l.WWN) {
				devices = append(devices, l.WWN)
			}
			if !slices.Contains(asked, f.Node) {
				asked = append(asked, f.Node)
			}
		}
	}
	if len(devices) > 0 {
		x.add(Finding{ID: "lun-reservations-unused", Severity: Info, Subject: "storage " + storage, Evidence: fmt.Sprintf("%s of it, asked by %s, know Write Exclusive – Registrants Only: %s; no scsi-pr device names the storage",
			plural(len(devices), "LUN"), words(asked), bounded(devices))})
	}
}
