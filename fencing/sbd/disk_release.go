//go:build !lab

package sbd

import "strings"

// openDisk opens what the settings name: real disks only.
func openDisk(path string, exclusive bool) (sectors, error) { return openBlockDevice(path, exclusive) }

// isDiskPath says whether a setting can be the path of a disk.
func isDiskPath(path string) bool { return strings.HasPrefix(path, "/dev/") }
