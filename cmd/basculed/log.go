package main

import (
	"io"
	"strconv"

	"github.com/sirupsen/logrus"

	"bascule/config"
)

// newLog builds the daemon's log. Its keys are fixed words (node guest term reason …); the writer must never block.
func newLog(c config.Log, w io.Writer, node string) logrus.FieldLogger {
	l := logrus.New()
	l.SetOutput(w)
	if level, err := logrus.ParseLevel(c.Level); err == nil { // the configuration has checked it
		l.SetLevel(level)
	}
	switch c.Format {
	case "json":
		l.SetFormatter(&logrus.JSONFormatter{TimestampFormat: "2006-01-02T15:04:05.000Z07:00"})
	case "journal":
		l.SetFormatter(&journal{logrus.TextFormatter{DisableTimestamp: true, DisableColors: true}})
	default:
		l.SetFormatter(&logrus.TextFormatter{FullTimestamp: true, TimestampFormat: "15:04:05.000", DisableColors: true})
	}
	return l.WithField("self", node)
}

// journal puts systemd's priority in front of each line (sd-daemon(3)).
type journal struct{ logrus.TextFormatter }

func (j *journal) Format(e *logrus.Entry) ([]byte, error) {
	b, err := j.TextFormatter.Format(e)
	return append([]byte("<"+strconv.Itoa(priority(e.Level))+">"), b...), err
}

func priority(l logrus.Level) int {
	switch l {
	case logrus.PanicLevel, logrus.FatalLevel:
		return 2
	case logrus.ErrorLevel:
		return 3
	case logrus.WarnLevel:
		return 4
	case logrus.InfoLevel:
		return 6
	}
	return 7
}
