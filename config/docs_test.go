package config

import (
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the generated documents and the expected messages anew")

// docs are the documents that this package writes, relative to it.
var docs = []struct {
	path string
	text func() string
}{
	{"../docs/config.md", Reference},
	{"../docs/basculed.sample.yaml", Sample},
}

func TestDocsAreFresh(t *testing.T) {
	for _, d := range docs {
		if *update {
			if err := os.MkdirAll(filepath.Dir(d.path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(d.path, []byte(d.text()), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(d.path)
		if err != nil {
			t.Fatalf("%s is missing (%v): run go generate ./config", d.path, err)
		}
		if diff := cmp.Diff(d.text(), string(got)); diff != "" {
			t.Errorf("%s is stale: run go generate ./config (-wanted +is):\n%s", d.path, diff)
		}
	}
}

var lab = surroundings{hostname: "node1", lab: true}

func mustParse(t *testing.T, text string) *Config {
	t.Helper()
	c, s := parse("sample", []byte(text), lab)
	if err := asError(s.problems); err != nil {
		t.Fatalf("should be valid:\n%v\n%s", err, text)
	}
	return c
}

// The sample is valid, and spelling all of it out changes nothing but what it gives examples for.
func TestSampleSaysTheDefaults(t *testing.T) {
	short := mustParse(t, Sample())
	// A watchdog device goes with a driver only, and the default driver is none.
	text := regexp.MustCompile(`(?m)^\s*#device: .*\n`).ReplaceAllString(Sample(), "")
	// An external etcd goes with no voters and no ports, which are the default.
	text = regexp.MustCompile(`(?m)^\s*#(endpoints: |user: bascule|[a-z_]+: /etc/bascule/etcd/).*\n`).ReplaceAllString(text, "")
	long := mustParse(t, regexp.MustCompile(`(?m)^(\s*)#([a-z_]+:)`).ReplaceAllString(text, "$1$2"))
	if len(long.Fencing.Devices) != 1 || long.Alerts.Command == nil || long.Alerts.WebhookURLFile == "" {
		t.Fatalf("the sample's examples were not read: %+v", long)
	}
	// What the sample shows as an example and not as the default:
	long.Fencing, long.Alerts = short.Fencing, short.Alerts
	a, b := *short, *long
	a.src, b.src, a.warnings, b.warnings = nil, nil, nil, nil
	if !reflect.DeepEqual(a, b) {
		t.Errorf("the sample's commented values are not the defaults:\n%s", cmp.Diff(a, b, cmp.AllowUnexported(Config{})))
	}
}

// Every setting is documented, and every default, range and example fits its own rules.
func TestSchemaIsDocumented(t *testing.T) {
	check := func(path string, typ reflect.Type, fields []field) {
		for _, f := range fields {
			ft := typ.Field(f.index).Type
			where := join(path, f.key)
			if !strings.HasSuffix(f.doc, ".") {
				t.Errorf("%s: its doc tag is no sentence: %q", where, f.doc)
			}
			if ft.Kind() != reflect.Struct && !f.required && f.def == "" {
				t.Errorf("%s: neither required nor a default", where)
			}
			if (f.required || f.computed()) && f.example == "" && len(f.enum) == 0 && ft.Kind() != reflect.Struct {
				t.Errorf("%s: needs an example tag", where)
			}
			if ft == reflect.TypeFor[time.Duration]() && f.max == "" {
				t.Errorf("%s: a time without a range", where)
			}
		}
	}
	var walk func(path string, typ reflect.Type)
	walk = func(path string, typ reflect.Type) {
		check(path, typ, fieldsOf(typ))
		for _, f := range fieldsOf(typ) {
			switch ft := typ.Field(f.index).Type; {
			case ft.Kind() == reflect.Struct:
				walk(join(path, f.key), ft)
			case isEntryList(ft):
				walk(join(path, f.key)+"[]", ft.Elem())
			}
		}
	}
	walk("", reflect.TypeFor[Config]())
}
