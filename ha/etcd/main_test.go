package etcd

import (
	"flag"
	"testing"

	"go.etcd.io/etcd/server/v3/storage/wal"
	"go.uber.org/goleak"
)

// TestMain looks for goroutines left behind. etcd never closes the connections between its members, which end by
// their own time-outs: everything below net/http's client and server is its.
func TestMain(m *testing.M) {
	wal.SegmentSizeBytes = 1 << 20 // etcd allocates two of them for every member: 64 MB each
	// A test's time goes into waiting for leases, elections and admissions. (The command line may say otherwise.)
	if err := flag.Set("test.parallel", "5"); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("net/http.(*persistConn).readLoop"),
		goleak.IgnoreAnyFunction("net/http.(*persistConn).writeLoop"),
		goleak.IgnoreAnyFunction("net/http.(*connReader).backgroundRead"),
		goleak.IgnoreAnyFunction("net/http.(*conn).serve"),
	)
}
