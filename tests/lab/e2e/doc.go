// Package e2e holds the end-to-end tests: whole clusters of real processes that lose nodes, daemons, networks and the
// truth of their BMCs. They take minutes and are built with the tag e2e; see `make e2e`.
//
// A test judges by what guests wrote to the shared storage, by /proc and by the events of the lab's hardware; what Bascule
// says of itself is never the evidence that a guest runs once. It may never reach outside the lab that it started.
package e2e
