// Package placement says where a guest may run and where it should run. Rules that forbid a node are one file
// each (rule_*.go) and one line in rules below; the order among the allowed nodes is in order.go.
//
// The package is pure. It never moves, starts or assigns anything, and it never over-commits a node: a guest that fits
// nowhere gets no place and the reason node by node.
package placement
