// Package realvm boots Debian's kernel in QEMU for the tests of one package, where this machine's kernel lacks what they need (SCSI disks,
// iSCSI, the device mapper, NFS). The machine holds the test's own binary, busybox and the programs that the test names; it has no network
// but its own loopback, and ends with the tests. It is imported by tests only, with the tag fencingreal.
package realvm
