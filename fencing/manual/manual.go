// Package manual is fencing by a person: a method without a device. Where nothing else can prove that a machine is off,
// somebody looks, switches it off and says so with `hactl confirm-off NODE`; ha/ladder makes the proof from that
// request. The package never reads and never switches anything, and no time that passes counts as a confirmation.
package manual

import "bascule/fencing"

// Method is fencing by a person.
var Method = fencing.Method{Name: "manual"}
