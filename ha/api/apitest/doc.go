// Package apitest holds what tests of the API and of hactl share: a fake backend with the behaviour of the real one
// (ordered events, ticks, a store that can be away) and scenes, whole views of a cluster in a given trouble. It is
// imported by tests only.
package apitest
