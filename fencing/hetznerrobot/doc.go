// Package hetznerrobot has rented servers reset through the Robot web service of Hetzner
// (https://robot.hetzner.com/doc/webservice/en.html, as of 2025): GET and POST /reset/SERVER-NUMBER, basic authentication.
//
// The service resets and reads nothing back: an accepted reset proves nothing, and its operating_status is not asked to. The proof is the
// machine's next boot (ha.NewBoot). Only a hard reset is ever sent, once per call, and only after the service has shown just before
// that the number is still the machine with the expected address; a technician is never called. A reset whose answer was lost is marked
// as one that may have been carried out.
//
// Three wrong log-ins block the caller's address for 10 minutes: a password that was not accepted is not tried again before its file
// changes or a quarter of an hour has passed (account.go). Server certificates are always verified. No answer of the service is shown with
// control characters or with the password in it.
package hetznerrobot
