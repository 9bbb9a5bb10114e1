// Package storagereal tries what Bascule says and does about storages against real ones: file systems on loop devices of this machine's
// kernel, and in a virtual machine with Debian's kernel, for what this one lacks, iSCSI served by tgtd, multipath, LVM and NFS.
// Ceph's part stands beside the small cluster that fencing/cephblocklist starts.
//
//	make storage-real
//
// It needs root, and uses loopback, mount namespaces and machines that it makes itself.
package storagereal
