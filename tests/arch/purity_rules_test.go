package arch

import (
	"go/ast"
	"strings"
	"testing"
)

// Each rule of purity is broken once, and kept once in the way that looks closest to breaking it.
func TestPurityIsEnforced(t *testing.T) {
	tests := []struct {
		name, text string
		want       string // part of the only violation; empty: pure
	}{
		{"os", `import "os"; var name = os.DevNull`, "must not import os"},
		{"net", `import "net"; type a = net.IP`, "must not import net"},
		{"log", `import "log"; func f() { log.Print("x") }`, "must not import log"},
		{"randomness", `import "math/rand"; func f() int { return rand.Int() }`, "must not import math/rand"},
		{"context", `import "context"; func f(context.Context) {}`, "must not import context"},
		{"sync", `import "sync"; type s struct{ mu sync.Mutex }`, "must not import sync"},
		{"unsafe", `import "unsafe"; var n = unsafe.Sizeof(0)`, "must not import unsafe"},

		{"goroutine", `func f() { go f() }`, "no goroutines"},
		{"channel type", `func f(c chan int) {}`, "no channels"},
		{"channel in a struct", `type s struct{ c <-chan int }`, "no channels"},
		{"select", `func f() { select {} }`, "no channels"},
		{"init", `func init() {}`, "no init function"},
		{"build tag", "//go:build lab", "no go:build"},
		{"print", `func f() { println("x") }`, "no println"},

		{"Now", `import "time"; func f() time.Time { return time.Now() }`, "no time.Now, it reads the clock"},
		{"Now under another name", `import clock "time"; func f() clock.Time { return clock.Now() }`, "no time.Now"},
		{"Now as a value", `import "time"; func f() func() time.Time { return time.Now }`, "no time.Now"},
		{"Since", `import "time"; func f(t time.Time) time.Duration { return time.Since(t) }`, "no time.Since"},
		{"Until", `import "time"; func f(t time.Time) time.Duration { return time.Until(t) }`, "no time.Until"},
		{"Sleep", `import "time"; func f() { time.Sleep(1) }`, "no time.Sleep"},
		{"After", `import "time"; func f() { _ = time.After(1) }`, "no time.After"},
		{"Tick", `import "time"; func f() { _ = time.Tick(1) }`, "no time.Tick"},
		{"NewTimer", `import "time"; func f() { _ = time.NewTimer(1) }`, "no time.NewTimer"},
		{"Time.Local", `import "time"; func f(t time.Time) time.Time { return t.Local() }`, "no Time.Local"},
		{"Printf", `import "fmt"; func f() { fmt.Printf("x") }`, "no fmt.Printf, it writes"},
		{"values of time and fmt", `import ("fmt"; "time"); func f(t time.Time) string { return fmt.Sprint(t.Add(time.Second).After(t), t.UTC()) }`, ""},
		{"a method of one's own called Now", `type c struct{}; func (c) Now() int { return 0 }; func f(x c) int { return x.Now() }`, ""},

		{"range over a map", `func f(m map[int]int) (s []int) { for k := range m { s = append(s, k) }; return s }`, "no range over a map"},
		{"range over a named map", `type byID map[int]string; func f(m byID, g func()) { for range m { g() } }`, "no range over a map"},
		{"range over a generic map", `func f[M ~map[int]int](m M, g func()) { for range m { g() } }`, "no range over a map"},
		{"marked without a reason", "func f(m map[int]int, g func()) {\n//arch:unordered \nfor range m { g() }\n}", "no range over a map"},
		{"marked with a reason", "func f(m map[int]int, g func()) {\n//arch:unordered g only counts\nfor range m { g() }\n}", ""},
		{"only counting", `func f(m map[int]int) (n int) { for k, v := range m { if k > 1 && v < 3 { n++ } else { n += v } }; return n }`, ""},
		{"count that steers", `func f(m map[int]int) (n, s int) { for _, v := range m { n++; if n < 2 { s += v } }; return n, s }`, "no range over a map"},
		{"sum of floats", `func f(m map[int]float64) (s float64) { for _, v := range m { s += v }; return s }`, "no range over a map"},
		{"copying key by key", `func f(m, to map[int]int) { for k, v := range m { if _, ok := to[k]; !ok { w := v + 1; to[k] = w } } }`, ""},
		{"copying to another key", `func f(m, to map[int]int) { for k, v := range m { to[v] = k } }`, "no range over a map"},
		{"reading another key", `func f(m, to map[int]int) { for k := range m { to[k] = to[0] + 1 } }`, "no range over a map"},
		{"reading the whole map", `func f(m, to map[int]int) { for k := range m { to[k] = len(to) } }`, "no range over a map"},
		{"deleting at the key", `type s struct{ to map[int]int }; func (x s) f(m map[int]int) { for k := range m { delete(x.to, k) } }`, ""},
		{"the last one wins", `func f(m map[int]int) (last int) { for _, v := range m { last = v }; return last }`, "no range over a map"},
		{"the first one wins", `func f(m map[int]int) int { for _, v := range m { return v }; return 0 }`, "no range over a map"},
		{"one is enough", `func f(m map[int]int) { for k := range m { m[k] = 1; break } }`, "no range over a map"},
		{"a call in the body", `func g(int) {}; func f(m map[int]int) { for k := range m { g(k) } }`, "no range over a map"},
		{"written through a pointer", `type g struct{ n int }; func f(m map[int]*g, x *g) { for _, p := range m { y := x; y.n = p.n } }`, "no range over a map"},
		{"sorted keys", `import ("maps"; "slices"); func f(m map[int]int) (s int) { for _, k := range slices.Sorted(maps.Keys(m)) { s += m[k] }; return s }`, ""},
		{"unsorted keys", `import "maps"; func f(m map[int]int) (s int) { for k := range maps.Keys(m) { s = k }; return s }`, "no maps.Keys outside of slices.Sorted"},
		{"collected keys", `import ("maps"; "slices"); func f(m map[int]int) []int { return slices.Collect(maps.Values(m)) }`, "no maps.Values outside of slices.Sorted"},
		{"range over a slice", `func f(m []int) { for range m {} }`, ""},

		{"counter", `var n int; func f() { n++ }`, "package variable n is changed"},
		{"assigned", `var n = 1; func f() { n = 2 }`, "package variable n is changed"},
		{"map written", `var seen = map[int]bool{}; func f() { seen[1] = true }`, "package variable seen is changed"},
		{"map emptied", `var seen = map[int]bool{}; func f() { delete(seen, 1) }`, "package variable seen is changed"},
		{"field of an element", `var s = []struct{ n int }{{1}}; func f() { s[0].n = 2 }`, "package variable s is changed"},
		{"address taken", `var n int; func f() *int { return &n }`, "package variable n is changed"},
		{"pointer method", `import "strings"; var b strings.Builder; func f() { b.WriteString("x") }`, "package variable b is changed"},
		{"exported", `var Limit = 3`, "package variable Limit can be changed by any package"},
		{"exported error", `import "errors"; var ErrX = errors.New("x")`, ""},
		{"table that is only read", `var table = map[int]string{1: "a"}; func f() string { return table[1] }`, ""},
		{"local of the same name", `var n = 1; func f() int { n := n; n++; return n }`, ""},
		{"interface check", `import "fmt"; type a int; func (a) String() string { return "" }; var _ fmt.Stringer = a(0)`, ""},
	}
	h := readHouse(t)
	l := newLoader(t, h)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l.t = t
			text := "package p\n" + tt.text
			if strings.HasPrefix(tt.text, "//go:build") {
				text = tt.text + "\n\npackage p\n"
			}
			got := l.check("p", []*ast.File{l.parse("p.go", text)}).impurities()
			switch {
			case tt.want == "" && len(got) > 0:
				t.Errorf("is pure, but: %v", got)
			case tt.want != "" && (len(got) != 1 || !strings.Contains(got[0], tt.want)):
				t.Errorf("got %q, want one with %q", got, tt.want)
			}
		})
	}
}
