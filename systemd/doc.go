// Package systemd holds the unit files that run Bascule, in fencing/ the drop-ins of the fencing methods that need more than
// basculed.service allows, and the tests that keep them honest: systemd's own checks over copies of them, and the promises that the rest
// of Bascule relies on. It has no code of its own.
package systemd
