// Command deb makes Bascule's Debian package out of programs, pages, units and documents that are there already (make deb calls it).
//
// One package serves nodes and witnesses: both run the same basculed, which must be of one version everywhere, and differ by one unit and
// the configuration. A second package could only conflict with the first.
//
// It is a module of its own, so that the packager's dependencies never come near the daemon's. It decides names, modes and places
// (contents.go), the version (version.go) and the texts that Debian asks for (texts.go); scripts/ holds what is run on the node when
// the package comes, changes and goes.
//
// The package is reproducible: the same commit gives the same bytes in any directory. It may never carry a file below /etc/bascule, nor
// anything that dpkg would call a configuration file: what is there is the operator's, or hactl init's.
package main
