// Package alert tells people: it runs a command of theirs with an event as JSON on its standard input, and posts the
// same JSON to a webhook, for the events that somebody should hear of (Kinds).
//
// What this package may never do: hold up the daemon. Notify only puts the event into bounded queues; what does not
// fit is dropped, counted and logged. The command gets no shell, and the webhook's URL, which is a secret, appears
// in no log and no error.
package alert
