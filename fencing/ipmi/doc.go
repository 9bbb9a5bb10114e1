// Package ipmi fences through a server's own management controller (BMC) by IPMI 2.0 over LAN (RMCP+, "lanplus"): for
// controllers that speak no Redfish, or speak it badly.
//
// It reads the power bit of Get Chassis Status and the system GUID, and sends Chassis Control with power down or power up,
// nothing else: never a cycle, a reset, a diagnostic interrupt or a soft shutdown. Each call opens one session of its
// own, closes it and leaves no goroutine behind. Nothing that switches is sent, not even once more because its answer
// was lost, after the call's context has ended.
//
// Messages and cryptography are those of go-ipmi; the session is this package's own. go-ipmi's client takes an
// answer without looking at its integrity code, lets the controller negotiate authentication away, and crashes the process
// on a malformed encrypted packet. Here a reading counts only if it is signed with this session's key by somebody who
// knows the account's password: a forged "off" would start guests twice. Sessions without integrity and encryption
// (cipher suites 0, 1, 2) and IPMI 1.5 do not exist here.
package ipmi
