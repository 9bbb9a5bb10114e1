// Package bmc simulates a node's baseboard management controller: one machine behind Redfish over HTTPS and IPMI 2.0 over LAN, as
// real ones have it. It really switches its node off and on, and can be made to fail in the ways real ones do.
//
// Its word is the physical truth by default: PowerState is "Off" only when nothing of the node runs any more. Only a fault
// that a test or a person sets makes it lie. It may never touch a node other than through its Machine, and never
// shows or logs a password or a session token.
package bmc
