// Package backup writes and reads the file of hactl backup: a compressed tar archive with a copy of the store, the configuration, the
// certificates and the keys of one member and of the cluster.
//
// Such a file is as secret as the cluster's keys: it is made with mode 0600, under its name only when it is whole, and never over another
// file. This package puts nothing back; what is in it is used by hactl restore, and by tar.
package backup
