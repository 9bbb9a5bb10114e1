// Package fencingtest is the conformance suite that every switching fencing method passes, and a Fake device with
// behaviour and faults that passes it too, for tests of what is built on package fencing. It is imported by tests only
// and never talks to real hardware.
package fencingtest
