// Package arch holds the tests that keep the house in order: which package may import which (the arrows of the design),
// that the pure packages are pure, that proofs are built in one place, and that what the tables of the
// documents promise is shown by tests that are there (faults of fencing methods, lies of Proxmox, what misleads in the lab). The rules are tables: rows in arrows_test.go, lists in purity_test.go. Packages that do not exist
// yet are no failure; a package without a row is one.
//
// The tests read the sources themselves, so that all build tags are covered at once. They change nothing.
package arch
