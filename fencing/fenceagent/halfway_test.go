package fenceagent_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"bascule/fencing"
	"bascule/fencing/fenceagent"
	"bascule/ha"
)

// halfWay is an agent that dies in the middle, in the ways in which programs do. It has carried out the switching by then.
const halfWay = `#!/bin/sh
cd "${0%/*}" || exit 1
while IFS= read -r line; do
	case $line in
	action=off) echo off >power ;;
	esac
done
. ./then
`

// An agent that dies half-way has said nothing, whatever it had printed by then; and a machine that it had switched off is not off by its word.
func TestAnAgentThatDiesHalfWay(t *testing.T) {
	for name, then := range map[string]string{
		"killed after its word":  "echo 'Status: OFF'; kill -KILL $$",
		"in the middle of it":    "printf 'Status: O'; exit 1",
		"its interpreter aborts": "echo 'Status: OFF'; exit 134",
		"the pipe breaks":        "exec >&-; echo 'Status: OFF'; exit 141",
		"with all that it began": "echo 'Status: OFF'; kill -KILL -1",
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t)
			f.write("fence_fake", halfWay, 0o755)
			f.write("then", then+"\n", 0o600)
			d, err := fenceagent.Method.Power(f.settings())
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			r, err := d.Read(ctx)
			if err == nil || r.Power != ha.PowerUnknown || errors.Is(err, fencing.ErrTimeout) {
				t.Errorf("%+v, %v; want no reading", r, err)
			}
			if err := d.Off(ctx); err == nil || errors.Is(err, fencing.ErrTimeout) || strings.TrimSpace(f.read("power")) != "off" {
				t.Errorf("off: %v, power %q; want an error, although it was carried out", err, f.read("power"))
			}
		})
	}
}
