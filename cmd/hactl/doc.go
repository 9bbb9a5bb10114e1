// Command hactl shows what Bascule does and takes the operator's wishes: status, events, drain, fence,
// confirm-off. It talks to a basculed through ha/api, by default over its unix socket on the same node.
//
// It decides nothing and keeps nothing: each wish becomes a request in the store, taken up by the leader.
//
// Exit codes: 0 well done (status: all is well), 1 refused, failed or degraded, 2 no answer from a basculed,
// 64 wrong usage, 130 interrupted.
package main
