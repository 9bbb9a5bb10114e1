// Package setuptest has a Proxmox VE to set up on: the part of its API that hactl init, join, remove and reset use through pvesh, with its
// behaviour. For tests and labs; it never speaks to a real one.
package setuptest
