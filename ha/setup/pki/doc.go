// Package pki makes the cluster's certificates and keys: the authority (CA), what it signs for each member, and the keys that gossip
// is encrypted with.
//
// The authority is the cluster's own and signs members only, so a certificate of it means "a member" and nothing else. It never signs
// for another cluster, never leaves a key readable by others than its owner, and never puts a key into an error. It reads no clock:
// every function is told what time it is, because at a cold start the clock of a machine may be dead, and certificates are made and
// judged then all the same.
package pki
