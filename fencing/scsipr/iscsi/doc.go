// Package iscsi is a small iSCSI initiator (RFC 7143) in user space: one connection, one command at a time, no digests, no
// authentication. With it a node that has not attached a LUN, or a witness without a kernel initiator, can send the few commands
// that SCSI fencing needs.
//
// It never keeps a connection beyond Session.Close, never follows a redirection, and takes nothing that a target sends on trust: every
// length is bounded, and every answer must belong to the one command that is under way.
package iscsi
