package etcd

import (
	"testing"

	"go.uber.org/goleak"
)

// TestMain looks for goroutines left behind. etcd never closes the idle connections between its members.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("net/http.(*persistConn).readLoop"),
		goleak.IgnoreAnyFunction("net/http.(*persistConn).writeLoop"),
	)
}
