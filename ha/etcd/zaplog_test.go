package etcd

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// fixedClock is zap's clock for a test.
type fixedClock struct{ now time.Time }

func (c *fixedClock) Now() time.Time                         { return c.now }
func (c *fixedClock) NewTicker(d time.Duration) *time.Ticker { return time.NewTicker(d) }

func TestEtcdsLogReachesOurs(t *testing.T) {
	var out bytes.Buffer
	l := logrus.New()
	l.SetOutput(&out)
	l.SetLevel(logrus.DebugLevel)
	l.SetFormatter(&logrus.TextFormatter{DisableTimestamp: true})
	clock := &fixedClock{time.Unix(0, 0)}
	lg := newZap(l).WithOptions(zap.WithClock(clock))

	line := func(log func()) string {
		out.Reset()
		log()
		return strings.TrimSpace(out.String())
	}
	for _, c := range []struct {
		log  func()
		want string
	}{
		{func() { lg.Debug("every raft message") }, ""},
		{func() { lg.Info("now serving", zap.String("address", "a")) }, `level=debug msg="etcd: now serving" address=a component=etcd`},
		{func() { lg.With(zap.Int("n", 3)).Info("raft.node: 1 elected leader 2 at term 3") }, `level=info msg="etcd: raft.node: 1 elected leader 2 at term 3" component=etcd n=3`},
		{func() { lg.Warn("slow fdatasync") }, `level=warning msg="etcd: slow fdatasync" component=etcd`},
		{func() { lg.Warn("slow fdatasync") }, `level=debug msg="etcd: slow fdatasync" component=etcd`},
		{func() { lg.Warn("retrying of unary invoker failed") }, `level=debug msg="etcd: retrying of unary invoker failed" component=etcd`},
		{func() { lg.Error("disk", zap.Error(errors.New("gone"))) }, `level=error msg="etcd: disk" component=etcd error=gone`},
	} {
		if got := line(c.log); got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
	}
	clock.now = clock.now.Add(repeatAfter)
	if got := line(func() { lg.Warn("slow fdatasync") }); !strings.HasPrefix(got, "level=warning") {
		t.Errorf("after %v: %s", repeatAfter, got)
	}
	func() {
		defer func() {
			if recover() == nil {
				t.Error("a fatal line must not end the process before Open could say why")
			}
		}()
		lg.Check(zapcore.FatalLevel, "corrupt").Write()
	}()
	if !strings.Contains(out.String(), "level=error") {
		t.Errorf("a fatal line: %s", &out)
	}
}
