package gossip

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"bascule/ha"
)

// The rotation that hactl keys rotate-gossip walks, with the nodes one after the other in each step: nobody is lost at any moment, and every
// message arrives, until the old key is worth nothing.
func TestRotatingTheKeyLosesNobody(t *testing.T) {
	r := newRing(t)
	r.profile = "patient" // a busy machine delays probes
	old, fresh := r.key, newKey(t)
	nodes := []*node{r.start(t, 1, 3, old), r.start(t, 2, 3, old), r.start(t, 3, 3, old)}
	for i, nd := range nodes {
		for j := 1; j <= 3; j++ {
			nd.until(t, fmt.Sprintf("node%d sees node%d", i+1, j), nd.sees(j))
		}
	}
	var lost atomic.Pointer[string]
	var hesitated time.Duration
	stop, watching := make(chan struct{}), make(chan struct{})
	go func() { // a loss that lasts for one probe only would be missed by looking at the end
		defer close(watching)
		for looked := time.Now(); ; {
			hesitated = max(hesitated, time.Since(looked))
			looked = time.Now()
			for i, nd := range nodes {
				for n, v := range nd.View() {
					if v != (ha.GossipView{Known: true, Alive: true}) {
						what := fmt.Sprintf("node%d sees %s as %+v", i+1, n, v)
						lost.CompareAndSwap(nil, &what)
					}
				}
			}
			select {
			case <-stop:
				return
			case <-time.After(5 * time.Millisecond):
			}
		}
	}()
	end := sync.OnceFunc(func() { close(stop); <-watching })
	defer end()
	sent := 0
	everybodyTalks := func(step string) {
		t.Helper()
		for i, from := range nodes {
			for j, to := range nodes {
				if i == j {
					continue
				}
				sent++
				text := fmt.Sprintf("%s %d", step, sent)
				from.send(t, to, j+1, text)
			}
		}
	}
	for _, step := range []struct {
		what string
		keys [][]byte
	}{
		{"received everywhere", [][]byte{old, fresh}},
		{"sending", [][]byte{fresh, old}},
		{"alone", [][]byte{fresh}},
	} {
		for _, nd := range nodes {
			if err := nd.SetKeys(step.keys); err != nil {
				t.Fatal(err)
			}
			everybodyTalks(step.what)
		}
		for _, nd := range nodes {
			if got := nd.Keys(); !slices.Equal(got, Fingerprints(step.keys)) {
				t.Fatalf("%s: keys %v, want %v", step.what, got, Fingerprints(step.keys))
			}
		}
	}
	late := r.start(t, 4, 4, old)
	late.until(t, "the old key is refused", func() bool { return strings.Contains(nodes[0].log.String(), "another key") })
	end()
	switch what := lost.Load(); {
	case what != nil && hesitated > 250*time.Millisecond: // between two looks that lie 5 ms apart
		t.Logf("somebody was lost on a machine that hesitated for %v, which proves nothing: %s", hesitated, *what)
	case what != nil:
		t.Errorf("somebody was lost: %s", *what)
	}
	if v := nodes[0].View(); v[name(4)].Known {
		t.Errorf("a node with the old key was let in: %+v", v)
	}
}

func TestSetKeysRefuses(t *testing.T) {
	r := newRing(t)
	n1 := r.start(t, 1, 1, r.key)
	for what, keys := range map[string][][]byte{"none": nil, "a short one": {r.key, []byte("short")}} {
		if err := n1.SetKeys(keys); !errors.Is(err, ErrKeyring) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if got := n1.Keys(); !slices.Equal(got, Fingerprints([][]byte{r.key})) {
		t.Errorf("keys after refusals: %v", got)
	}
}

func TestKeyFilesAreWrittenAsTheyAreRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "gossip.keys")
	keys := [][]byte{newKey(t), newKey(t)}
	if err := WriteKeyring(path, keys); err != nil {
		t.Fatal(err)
	}
	back, err := LoadKeyring(path)
	if err != nil || !slices.Equal(Fingerprints(back), Fingerprints(keys)) {
		t.Errorf("read back %d keys: %v", len(back), err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	for what, bad := range map[string][][]byte{"none": nil, "a short one": {[]byte("short")}} {
		if err := WriteKeyring(path, bad); !errors.Is(err, ErrKeyring) {
			t.Errorf("%s: %v", what, err)
		}
	}
}
