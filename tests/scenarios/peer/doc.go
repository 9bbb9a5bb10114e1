// Package peer runs the scenarios of another HA manager's regression suite, given as data, on the simulated world of tests/sim: the
// commands become switches, cuts, operators and requests in virtual time, and at the end every guest must be where the peer's manager
// has it, in an equivalent state.
//
// A scenario ends as pass, fail, waiting (it needs a feature that the product does not have, named) or differs (Bascule deliberately
// ends otherwise, with the written reason). The judge of tests/sim watches the safety rules in every one of them, also in those that
// wait. Nothing in the package knows a scenario by heart but the list of exceptions; the data themselves are never copied here.
package peer
