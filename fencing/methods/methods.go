// Package methods is the list of fencing methods that Bascule has. A new one is a folder beside this and a line here.
package methods

import (
	"bascule/fencing"
	"bascule/fencing/cephblocklist"
	"bascule/fencing/fenceagent"
	"bascule/fencing/hetznerrobot"
	"bascule/fencing/ipmi"
	"bascule/fencing/manual"
	"bascule/fencing/redfish"
	"bascule/fencing/sbd"
	"bascule/fencing/scsipr"
)

// All returns every method.
func All() fencing.Methods {
	return fencing.Methods{
		redfish.Method,
		ipmi.Method,
		fenceagent.Method,
		sbd.Method,
		cephblocklist.Method,
		scsipr.Method,
		hetznerrobot.Method,
		manual.Method,
	}
}
