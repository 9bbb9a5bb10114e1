package gossip

import (
	"bytes"
	"encoding/base64"
	"errors"
	"log"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/sirupsen/logrus"
	"pgregory.net/rapid"

	"bascule/ha"
)

func TestMetaSurvivesTheWire(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := Meta{
			Incarnation: ha.Incarnation(rapid.StringMatching(`[0-9a-f-]{0,36}`).Draw(t, "incarnation")),
			Leaving:     rapid.Bool().Draw(t, "leaving"),
			Version:     rapid.StringMatching(`[ -~]{0,60}`).Draw(t, "version"),
		}
		if diff := cmp.Diff(m, decodeMeta(m.encode(512))); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestMetaNeverExceedsTheLimitAndKeepsLeavingLongest(t *testing.T) {
	m := Meta{Incarnation: ha.Incarnation(strings.Repeat("i", 200)), Leaving: true, Version: strings.Repeat("v", 600)}
	for limit, want := range map[int]Meta{
		512: {Incarnation: m.Incarnation, Leaving: true},
		100: {Leaving: true},
		3:   {},
	} {
		b := m.encode(limit)
		if len(b) > limit {
			t.Errorf("limit %d: %d bytes", limit, len(b))
		}
		if diff := cmp.Diff(want, decodeMeta(b)); diff != "" {
			t.Errorf("limit %d: %s", limit, diff)
		}
	}
}

func TestMetaOfStrangersIsTolerated(t *testing.T) {
	if got := decodeMeta([]byte(`{"i":"b","l":true,"zz":[1]}`)); got != (Meta{Incarnation: "b", Leaving: true}) {
		t.Errorf("a newer daemon's metadata: %+v", got)
	}
	for _, junk := range []string{"", "\x00\xff", `{"l":"yes"}`, `[]`} {
		if got := decodeMeta([]byte(junk)); got != (Meta{}) {
			t.Errorf("%q: %+v", junk, got)
		}
	}
}

func TestKeyFiles(t *testing.T) {
	a, b := bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 16)
	enc := base64.StdEncoding.EncodeToString
	write := func(text string, mode os.FileMode) string {
		path := filepath.Join(t.TempDir(), "gossip.key")
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil { // whatever the umask is
			t.Fatal(err)
		}
		return path
	}
	good := "# primary\n" + enc(a) + "\n\n  " + enc(b) + "\r\n"
	keys, err := LoadKeyring(write(good, 0o600))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([][]byte{a, b}, keys); diff != "" {
		t.Error(diff)
	}
	secret := enc([]byte("not a key length"))[:20]
	for what, path := range map[string]string{
		"readable by all":   write(good, 0o604),
		"readable by group": write(good, 0o640),
		"empty":             write("# nothing\n", 0o600),
		"not base64":        write(secret+"!!\n", 0o600),
		"wrong length":      write(enc([]byte("too short"))+"\n", 0o600),
		"missing":           filepath.Join(t.TempDir(), "none"),
		"directory":         t.TempDir(),
	} {
		_, err := LoadKeyring(path)
		if !errors.Is(err, ErrKeyring) {
			t.Errorf("%s: %v", what, err)
			continue
		}
		if !strings.Contains(err.Error(), path) {
			t.Errorf("%s: the error does not name the file: %v", what, err)
		}
		for _, s := range []string{secret, enc(a), enc(b), "too short"} {
			if strings.Contains(err.Error(), s) {
				t.Errorf("%s: the error shows the key: %v", what, err)
			}
		}
	}
}

func TestLogLevelsAndQuiet(t *testing.T) {
	var out bytes.Buffer
	l := logrus.New()
	l.SetOutput(&out)
	l.SetLevel(logrus.DebugLevel)
	l.SetFormatter(&logrus.TextFormatter{DisableTimestamp: true})
	b := newLogBridge(l)
	now := time.Unix(0, 0)
	b.now = func() time.Time { return now }
	ml := log.New(b, "", 0)
	count := func(s string) int { return strings.Count(out.String(), s) }

	ml.Print("[DEBUG] memberlist: Stream connection from=1.2.3.4")
	ml.Print("[INFO] memberlist: Suspect node2 has failed, no acks received")
	ml.Print("[ERR] memberlist: Failed to send UDP ping: no route")
	if count("level=debug") != 3 || count("level=warning") != 0 {
		t.Errorf("noise is not kept at debug:\n%s", &out)
	}
	ml.Print("[WARN] memberlist: Refuting a suspect message (from: node2)")
	ml.Print("[WARN] memberlist: Refuting a suspect message (from: node3)")
	if count("level=warning") != 1 {
		t.Errorf("the same kind twice within %v:\n%s", quietFor, &out)
	}
	now = now.Add(quietFor)
	ml.Print("[WARN] memberlist: Refuting a suspect message (from: node3)")
	ml.Print("[ERR] memberlist: Conflicting address for node2. Mine: a Theirs: b")
	if count("level=warning") != 3 || count("level=error") != 0 {
		t.Errorf("levels:\n%s", &out)
	}
}
