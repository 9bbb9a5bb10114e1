package hetznerrobot

import (
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"bascule/fencing"
)

// Method is fencing through Hetzner's Robot. What it remembers of accounts holds for all devices of this process: the service locks out
// addresses, not devices.
var Method = fencing.Method{
	Name:  "hetzner-robot",
	Keys:  keys,
	Reset: known.open,
}

// service is where the Robot web service is.
const service = "https://robot-ws.your-server.de"

// keys are the settings that the method knows.
var keys = []fencing.Key{
	{Name: "server_number", Required: true, Doc: "the server's number in Robot, such as 321"},
	{Name: "server_ip", Required: true, Doc: "the server's main address as Robot shows it (IPv4, or the first of its IPv6 net): nothing is reset where Robot shows another one"},
	{Name: "user", Required: true, Doc: "the web service user, such as #ws+AbCdEfGh"},
	{Name: "password_file", Required: true, Doc: "a file that holds only its password, readable by root alone (mode 0600)"},
	{Name: "type", Doc: "hw (default: the reset button) or sw (Ctrl+Alt+Del, which a hung kernel does not hear)"},
	{Name: "address", Doc: "another address of the web service, such as that of a proxy: https://HOST or https://HOST:PORT; default " + service},
	{Name: "ca_file", Doc: "a PEM file with the authority that signed the certificate of address; default: the system's authorities"},
}

// settings are the parsed settings of one device.
type settings struct {
	number       int
	ip           netip.Addr
	user         string
	passwordFile string
	kind         string // of reset
	address      string // https://HOST[:PORT]
	caFile       string
}

func parse(raw map[string]string) (s settings, err error) {
	if err = fencing.CheckSettings(keys, raw); err != nil {
		return s, err
	}
	s = settings{user: raw["user"], passwordFile: raw["password_file"], caFile: raw["ca_file"], kind: raw["type"], address: service}
	if s.number, err = strconv.Atoi(raw["server_number"]); err != nil || s.number <= 0 {
		return s, fmt.Errorf(`%w: setting "server_number" is %q: write the number that Robot shows beside the server's name, such as 321`, fencing.ErrSettings, raw["server_number"])
	}
	if s.ip, err = netip.ParseAddr(raw["server_ip"]); err != nil {
		return s, fmt.Errorf(`%w: setting "server_ip" is %q: write the server's main address, such as 203.0.113.7`, fencing.ErrSettings, raw["server_ip"])
	}
	if strings.Contains(s.user, ":") {
		return s, fmt.Errorf(`%w: setting "user" has a colon: write the user alone, and the password into password_file`, fencing.ErrSettings)
	}
	if s.kind, err = resetType(raw["type"]); err != nil {
		return s, err
	}
	if raw["address"] != "" {
		s.address, err = endpoint(raw["address"])
	}
	return s, err
}

// resetType takes those that end the boot and begin another by themselves.
func resetType(t string) (string, error) {
	why := ""
	switch t {
	case "":
		return "hw", nil
	case "hw", "sw":
		return t, nil
	case "power":
		why = "a press of the power button asks the operating system, which may refuse or stay off"
	case "power_long":
		why = "a long press leaves the machine off: no new boot would ever prove anything"
	case "man":
		why = "a technician comes at a time that nobody knows, and may meet a boot that is in order"
	default:
		why = "there is no such reset"
	}
	return "", fmt.Errorf(`%w: setting "type" is %q: %s; write hw, or remove it`, fencing.ErrSettings, t, why)
}

// endpoint checks the address. It shows no part of an address that might hold a password.
func endpoint(raw string) (string, error) {
	u, err := url.Parse(strings.TrimSpace(raw))
	switch {
	case err != nil || u.Host == "":
		return "", fmt.Errorf(`%w: setting "address" is no address: write https://HOST or https://HOST:PORT, or remove it`, fencing.ErrSettings)
	case u.User != nil:
		return "", fmt.Errorf(`%w: setting "address" holds a user: write the user as user and the password into password_file`, fencing.ErrSettings)
	case u.Scheme != "https":
		return "", fmt.Errorf(`%w: setting "address" is not https: the password would cross the network readable: write https://%s`, fencing.ErrSettings, u.Host)
	case strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "":
		return "", fmt.Errorf(`%w: setting "address" has a path: write only https://%s`, fencing.ErrSettings, u.Host)
	}
	return "https://" + u.Host, nil
}
