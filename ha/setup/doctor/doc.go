// Package doctor says what is weak in a cluster, before it matters: checks over facts that others gathered. Examine turns what every
// member told into findings, each with a stable id, a severity, what was seen, why it matters and what to do.
//
// A check is one file (check_*.go) and one line in checks. Its kinds are what it may find; Page makes docs/findings.md of them, and a test
// holds the two together.
//
// The package is pure: the same facts give the same findings in the same order. It may never gather anything itself, and never judge what
// `hactl status` judges already: those problems come in as they are (Cluster.Problems) and get their page here.
package doctor
