//go:build fencingreal

package hetznerrobot

import (
	"os"
	"testing"
)

// TestRealService asks the real service whether it would reset a rented server. It resets nothing: what a reset does is seen with
// hactl fence NODE on a drained node.
func TestRealService(t *testing.T) {
	s := map[string]string{}
	for _, k := range []string{"server_number", "server_ip", "user", "password_file"} {
		env := map[string]string{"server_number": "ROBOT_SERVER_NUMBER", "server_ip": "ROBOT_SERVER_IP", "user": "ROBOT_USER", "password_file": "ROBOT_PASSWORD_FILE"}[k]
		if s[k] = os.Getenv(env); s[k] == "" {
			t.Skipf("needs a rented server and a web service user of its account: set ROBOT_SERVER_NUMBER, ROBOT_SERVER_IP, ROBOT_USER and ROBOT_PASSWORD_FILE (%s is not set)", env)
		}
	}
	if err := call(open(t, s).Read); err != nil {
		t.Fatal(err)
	}
	s["server_ip"] = "192.0.2.1"
	if err := call(open(t, s).Read); err == nil {
		t.Fatal("another address was taken for the server's")
	}
}
