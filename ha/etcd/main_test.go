package etcd

import (
	"testing"

	"go.uber.org/goleak"
)

// TestMain looks for goroutines left behind. etcd never closes the connections between its members, which end by
// their own time-outs: everything below net/http's client and server is its.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("net/http.(*persistConn).readLoop"),
		goleak.IgnoreAnyFunction("net/http.(*persistConn).writeLoop"),
		goleak.IgnoreAnyFunction("net/http.(*connReader).backgroundRead"),
		goleak.IgnoreAnyFunction("net/http.(*conn).serve"),
	)
}
