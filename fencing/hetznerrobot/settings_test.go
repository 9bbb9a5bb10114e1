package hetznerrobot

import (
	"errors"
	"maps"
	"strings"
	"testing"

	"bascule/fencing"
)

func TestSettings(t *testing.T) {
	good := map[string]string{"server_number": "321", "server_ip": "203.0.113.21", "user": "#ws+x", "password_file": "/etc/bascule/robot.password"}
	for name, c := range map[string]struct {
		key, value string
		want       string // in the error; empty: taken
	}{
		"as it is":          {"server_number", "321", ""},
		"hw":                {"type", "hw", ""},
		"sw":                {"type", "sw", ""},
		"IPv6":              {"server_ip", "2001:db8::", ""},
		"proxy":             {"address", "https://10.0.0.1:8443/", ""},
		"no number":         {"server_number", "node2", `"server_number"`},
		"number 0":          {"server_number", "0", `"server_number"`},
		"negative":          {"server_number", "-1", `"server_number"`},
		"a name":            {"server_ip", "node2.example", `"server_ip"`},
		"short press":       {"type", "power", "may refuse"},
		"long press":        {"type", "power_long", "leaves the machine off"},
		"technician":        {"type", "man", "technician"},
		"no type":           {"type", "HW", "no such reset"},
		"colon":             {"user", "u:pw", `"user"`},
		"plain":             {"address", "http://10.0.0.1", "not https"},
		"path":              {"address", "https://10.0.0.1/x", "path"},
		"user in address":   {"address", "https://u:secret@10.0.0.1", "holds a user"},
		"no address at all": {"address", "robot", "no address"},
	} {
		t.Run(name, func(t *testing.T) {
			s := maps.Clone(good)
			s[c.key] = c.value
			_, err := Method.Reset(s)
			if c.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			if !errors.Is(err, fencing.ErrSettings) || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "secret") {
				t.Fatalf("%v, want %q", err, c.want)
			}
		})
	}
}

func FuzzDecode(f *testing.F) {
	for _, s := range []string{`{"reset":{"server_ip":"203.0.113.21","server_number":321,"type":["hw"]}}`, `{"reset":{"type":"hw"}}`,
		`{"error":{"status":403,"code":"RATE_LIMIT_EXCEEDED","max_request":500,"interval":3600,"message":"x"}}`, `{"reset":null}`, `[]`, ``, `{"reset":{"type":{}}}`} {
		f.Add(200, []byte(s))
		f.Add(404, []byte(s))
	}
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		got, said, err := decode(status, body)
		if err == nil && (status != 200 || said) {
			t.Fatalf("HTTP %d: taken as an answer", status)
		}
		if err != nil && fencing.Classify(err) == nil {
			t.Fatalf("%v is no error", err)
		}
		if list, one := got.many(), got.one(); len(list) > 0 && one != "" {
			t.Fatalf("%q is a list and a word", got.Type)
		}
	})
}
