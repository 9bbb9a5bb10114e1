// Package redfish fences through a server's own management controller (BMC) by the DMTF's Redfish standard: Dell iDRAC,
// HPE iLO, Lenovo XCC, Supermicro, OpenBMC and others.
//
// It reads PowerState and UUID of one ComputerSystem and resets it with ForceOff or On, nothing else: never a restart, a
// power cycle or a graceful shutdown, and never another reset type because the device lacks these. Every
// command makes one connection of its own, bounded by its context, and leaves no session behind. It decodes only
// the few fields that it needs, because vendors fill the others with surprises. Whatever the device says is limited
// in size, and never shown with control characters or with the password in it.
package redfish
