package redfish

import (
	"fmt"
	"net/url"
	"path"
	"strings"

	"bascule/fencing"
)

// Method is fencing through Redfish.
var Method = fencing.Method{
	Name:  "redfish",
	Keys:  keys,
	Power: open,
}

// keys are the settings that the method knows.
var keys = []fencing.Key{
	{Name: "url", Required: true, Doc: "the controller's address, such as https://10.0.9.2"},
	{Name: "user", Required: true, Doc: "an account of the controller that may switch power"},
	{Name: "password_file", Required: true, Doc: "a file that holds only its password, readable by root alone (mode 0600)"},
	{Name: "ca_file", Doc: "a PEM file with the authority that signed the controller's certificate"},
	{Name: "fingerprint", Doc: "the SHA-256 fingerprint of the controller's certificate, 64 hexadecimal digits"},
	{Name: "insecure", Doc: `"true" to trust whatever answers at this address`},
	{Name: "system", Doc: "the id of the machine where the controller serves several, such as System.Embedded.1 or 1"},
	{Name: "uuid", Doc: "the machine's system UUID; nothing is switched where the controller shows another one"},
	{Name: "auth", Doc: "basic (default) or session"},
}

// settings are the parsed settings of one device.
type settings struct {
	endpoint     string // https://host[:port]
	user         string
	passwordFile string
	caFile       string
	fingerprint  string // lower-case hex
	system       string
	uuid         string
	session      bool
}

func open(raw map[string]string) (fencing.PowerDevice, error) {
	if err := fencing.CheckSettings(keys, raw); err != nil {
		return nil, err
	}
	s := settings{
		user: raw["user"], passwordFile: raw["password_file"], caFile: raw["ca_file"],
		uuid: raw["uuid"],
	}
	if raw["system"] != "" {
		s.system = path.Base(strings.TrimRight(raw["system"], "/")) // an id, or its whole path
	}
	var err error
	if s.endpoint, err = endpoint(raw["url"]); err != nil {
		return nil, err
	}
	if err = s.trust(raw); err != nil {
		return nil, err
	}
	if err := fencing.CheckUUID(s.uuid); err != nil {
		return nil, err
	}
	switch raw["auth"] {
	case "", "basic":
	case "session":
		s.session = true
	default:
		return nil, fmt.Errorf(`%w: setting "auth" is %q: write basic or session`, fencing.ErrSettings, raw["auth"])
	}
	return &device{s: s}, nil
}

// endpoint checks the address. It shows no part of an address that might hold a password.
func endpoint(raw string) (string, error) {
	u, err := url.Parse(strings.TrimSpace(raw))
	switch {
	case err != nil || u.Host == "":
		return "", fmt.Errorf(`%w: setting "url" is no address: write https://HOST or https://HOST:PORT`, fencing.ErrSettings)
	case u.User != nil:
		return "", fmt.Errorf(`%w: setting "url" holds a user: write the user as user and the password into password_file`, fencing.ErrSettings)
	case u.Scheme != "https":
		return "", fmt.Errorf(`%w: setting "url" is not https: the password would cross the network readable: write https://%s`, fencing.ErrSettings, u.Host)
	case strings.Trim(u.Path, "/") != "" && strings.Trim(u.Path, "/") != "redfish/v1" || u.RawQuery != "" || u.Fragment != "":
		return "", fmt.Errorf(`%w: setting "url" has a path: write only https://%s, and the machine's id as system`, fencing.ErrSettings, u.Host)
	}
	return "https://" + u.Host, nil
}

// trust demands exactly one way to know the controller.
func (s *settings) trust(raw map[string]string) error {
	given := 0
	for _, k := range []string{"ca_file", "fingerprint", "insecure"} {
		if raw[k] != "" {
			given++
		}
	}
	if given != 1 {
		return fmt.Errorf(`%w: %d of the settings "ca_file", "fingerprint" and "insecure" are given: write exactly one, best fingerprint or ca_file, so that the password goes to nobody else`, fencing.ErrSettings, given)
	}
	if v := raw["insecure"]; v != "" && v != "true" {
		return fmt.Errorf(`%w: setting "insecure" is %q: write "true", or remove it and write fingerprint or ca_file`, fencing.ErrSettings, v)
	}
	if v := raw["fingerprint"]; v != "" {
		hex := strings.ToLower(strings.NewReplacer(":", "", " ", "").Replace(v))
		hex = strings.TrimPrefix(hex, "sha256")
		if len(hex) != 64 || strings.Trim(hex, "0123456789abcdef") != "" {
			return fmt.Errorf(`%w: setting "fingerprint" is no SHA-256 fingerprint: write 64 hexadecimal digits, with or without colons`, fencing.ErrSettings)
		}
		s.fingerprint = hex
	}
	return nil
}
