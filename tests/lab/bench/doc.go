// Package bench measures and shows failovers in a lab: power cuts, the moment at which each guest writes its first line
// elsewhere, and whether any guest was ever able to write in two places.
//
// It reads the guests' own lines for every number that it reports; what basculed says of itself is only used to choose
// victims and to label the timeline. It may never count a round in which a guest was lost as a fast one.
package bench
