// Package api is how people and programs talk to a running basculed: an HTTP API over a unix socket (mode 0660,
// the caller known by its peer credentials) and over TCP (mutual TLS by the cluster's own authority), the wire
// types, the client, and the building of the status that says what is wrong and what to do about it.
//
//	GET  /v1/status                                   Status
//	GET  /v1/events?after=KEY&limit=N&tail=N&follow=1 []StoredEvent; with follow one EventLine per line
//	GET  /v1/fence-test?node=NODE                     FenceTest: the devices are read, one test at a time
//	GET  /v1/doctor                                   doctor.Facts: this node looked at, one look at a time
//	POST /v1/drain|undrain|fence|confirm-off|confirm-test  RequestBody -> RequestAnswer
//	GET  /v1/version                                  VersionInfo
//
// Errors are answered as Error: what happened and what to do next.
//
// What this package may never do: decide. It shows the view that the agent hands it and commits operators'
// requests to the store; the leader alone takes them up. It asks no Proxmox API and no other node, and no device but for a
// fence test, which reads them and switches nothing, and for the doctor, whose looks end in time, so that it answers also when everything else hangs. BuildStatus and
// CheckRequest are pure.
package api
