// Package scenarios runs short readable stories on the simulated world of tests/sim: a site, what happens to it and when, and what an
// operator may expect of it. One file in testdata is one scenario; docs/scenarios.md shows the format on one screen.
//
// A scenario fails when an expectation is not met, or when the simulator's judge finds a rule of DESIGN broken that the scenario does
// not allow. Time is virtual and every draw comes from the seed: a scenario gives the same result each time.
//
// The package decides nothing and may never touch the world but through the commands of a scenario: what it asks are the physical
// truth and the store's contents.
package scenarios
