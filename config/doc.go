// Package config reads basculed's configuration: strict YAML into typed structs, defaults, validation. Every problem
// of a file is reported at once, one line each, with file and line, what is wrong and what to write instead; all of
// them travel in one *Error, on which the daemon exits with status 78 (and systemd does not start it again).
//
// The struct tags of Config are the one source of the schema: keys, defaults, ranges and meaning. The decoder
// applies them, and Reference and Sample print them (docs/config.md, docs/basculed.sample.yaml).
//
// It may never write a file, open a connection, read a secret's content or repeat a setting's value of a fencing
// device in an error: devices' settings can be secret. It decides no timing: that is ha.Timing, from a profile.
package config

//go:generate go test . -run TestDocsAreFresh -update
