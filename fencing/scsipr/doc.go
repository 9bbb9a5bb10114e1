// Package scsipr fences by SCSI-3 persistent reservations: every LUN of a storage is held with a reservation "Write Exclusive –
// Registrants Only", every node registers one key for each of its boots, and a node whose key is taken out of the list cannot write.
//
// What counts is what the target says when it is asked, all of it: the victim's key is not in the list, the reservation exists, is of
// that type and is held by a key in the list. The success of a PREEMPT proves nothing. A node takes keys away only while its own is
// registered, so that a node that was fenced itself fences nobody; it never fences itself; and it touches only keys that carry
// Bascule's mark, so that another cluster's are safe. There is no RELEASE and no CLEAR: either would open the disk to everybody.
//
// The other half is the Registrar, which gives a node its key. A key that was taken away is never registered again: the
// Registrar remembers over restarts of the daemon, and the next boot has another key.
package scsipr
