package hetznerrobot

import (
	"testing"

	"bascule/fencing"
	"bascule/fencing/fencingtest"
)

func TestSettings(t *testing.T) {
	good := map[string]string{"server_number": "321", "server_ip": "203.0.113.21", "user": "#ws+x", "password_file": "/etc/bascule/robot.password"}
	fencingtest.TrySettings(t, Method, good, []fencingtest.Setting{
		{"type", "hw", ""},
		{"type", "sw", ""},
		{"server_ip", "2001:db8::", ""},           // IPv6
		{"address", "https://10.0.0.1:8443/", ""}, // proxy
		{"server_number", "node2", `"server_number"`},
		{"server_number", "0", `"server_number"`},
		{"server_number", "-1", `"server_number"`},
		{"server_ip", "node2.example", `"server_ip"`},    // a name
		{"type", "power", "may refuse"},                  // short press
		{"type", "power_long", "leaves the machine off"}, // long press
		{"type", "man", "technician"},                    // technician
		{"type", "HW", "no such reset"},                  // no type
		{"user", "u:pw", `"user"`},
		{"address", "http://10.0.0.1", "not https"},
		{"address", "https://10.0.0.1/x", "path"},
		{"address", "https://u:" + fencingtest.Hunter2 + "@10.0.0.1", "holds a user"},
		{"address", "robot", "no address"},
	})
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
