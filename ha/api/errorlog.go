package api

import (
	"log"
	"strings"

	"github.com/sirupsen/logrus"
)

// newErrorLog passes what net/http complains about (broken TLS handshakes of scanners, mostly) on as debug lines.
func newErrorLog(to logrus.FieldLogger) *log.Logger { return log.New(errorLog{to}, "", 0) }

type errorLog struct{ to logrus.FieldLogger }

func (e errorLog) Write(p []byte) (int, error) {
	e.to.Debug("API: " + strings.TrimSpace(string(p)))
	return len(p), nil
}
