// Package ipmitest is a machine's controller (BMC) that speaks IPMI 2.0 over LAN, for the tests of the ipmi method and for the
// lab's nodes: go-ipmi's server with an account, and with whatever machine its user puts behind the power commands.
//
// It knows no faults: these belong to the machine, which answers with completion codes, and to the connection that it is given. It is no
// product: it listens where it is told, and nothing but tests and cmd/halab may serve with it.
package ipmitest
