package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jedib0t/go-pretty/v6/text"

	"bascule/ha"
	"bascule/ha/api"
	"bascule/ha/api/apitest"
)

// tested is a scene's fence test as a daemon answers it.
func tested(t *testing.T, scene func() api.View) api.FenceTest {
	t.Helper()
	w := httptest.NewRecorder()
	api.NewServer(apitest.NewFake(scene()), nil).Handler().ServeHTTP(w, httptest.NewRequest("GET", "/v1/fence-test", nil))
	var a api.FenceTest
	if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil || w.Code != 200 {
		t.Fatalf("%d, %v: %s", w.Code, err, w.Body)
	}
	return a
}

// TestFenceTestGolden holds what operators see, at two widths. Look at the files when they change; -update writes them.
func TestFenceTestGolden(t *testing.T) {
	for _, name := range []string{"well", "ladders", "troubles", "lying-bmc", "two-dead"} {
		for _, width := range []int{80, 120} {
			t.Run(fmt.Sprintf("%s-%d", name, width), func(t *testing.T) {
				t.Setenv("COLUMNS", fmt.Sprint(width))
				a := tested(t, apitest.Scenes[name])
				got := fenceTestText(newScreen(&bytes.Buffer{}), a)
				golden(t, filepath.Join("testdata", "fencetest", fmt.Sprintf("%s-%d.txt", name, width)), got, width)
				coloured := newScreen(&bytes.Buffer{})
				coloured.colour = true
				if d := cmp.Diff(got, text.StripEscape(fenceTestText(coloured, a))); d != "" {
					t.Errorf("layout moves with colours (-plain +coloured):\n%s", d)
				}
			})
		}
	}
}

func TestDeviceNote(t *testing.T) {
	for _, c := range []struct {
		d    api.FenceTestDevice
		want string
	}{
		{api.FenceTestDevice{Kind: ha.PowerDevice, Answer: "on, right system UUID"}, "on, right system UUID"},
		{api.FenceTestDevice{Kind: ha.PowerDevice, Answer: "on, another system UUID", Problem: "wrong", Why: "wrong"}, "on, another system UUID; wrong"},
		{api.FenceTestDevice{Kind: ha.PoisonDevice, Problem: "no disk", Why: "no armed watchdog"}, "no disk; no armed watchdog"},
		{api.FenceTestDevice{Kind: ha.ResetDevice, Answer: "ready to reset it"}, "ready to reset it; proven when it has booted and registers again"},
		{api.FenceTestDevice{Kind: ha.ResetDevice, Problem: "locked", Why: "locked"}, "locked"},
		{api.FenceTestDevice{Kind: ha.PoisonDevice, Answer: "message on 0 of 3 disks", After: 20}, "message on 0 of 3 disks; proven 20 s after the message is read back"},
		{api.FenceTestDevice{Kind: ha.ManualDevice}, "a person looks, then hactl confirm-off n"},
	} {
		if got := deviceNote("n", c.d); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}
