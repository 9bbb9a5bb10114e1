package setup

import (
	"bascule/config"
	"bascule/ha"
)

// Answers are the operator's: from flags, questions, or their defaults. The zero value is all defaults.
type Answers struct {
	Cluster         string // "": corosync's name
	Timing          string // "": normal
	Tags            []string
	Pools           []string
	VMIDs           []int
	All             bool // protect every guest
	TrustSoftdog    bool
	WithoutRecovery bool // two nodes without a third vote: set up what works without
	Witness         *Witness
	Devices         []Device
	Addresses       map[ha.NodeName]string // in the place of corosync's
}

// Witness is a machine without guests that votes.
type Witness struct {
	Name    ha.NodeName
	Address string
	Host    string // what ssh calls it
	Package string // file of the package here, installed there where basculed is missing; "": the operator installs it
}

// Device is a fencing device that the operator named. Its password goes into a file, never into the configuration.
type Device struct {
	config.DeviceSettings        // without password_file
	Password              string // "": the method needs none, or the file is there already
}

// protects says whether any guest was chosen by something else than the default.
func (a Answers) protects() bool { return a.All || len(a.Tags)+len(a.Pools)+len(a.VMIDs) > 0 }
