package ipmi

import (
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/bougou/go-ipmi/pkg/rmcpplus"
	"github.com/bougou/go-ipmi/pkg/types"

	"bascule/fencing"
)

// Method is fencing through IPMI 2.0 over LAN.
var Method = fencing.Method{
	Name:  "ipmi",
	Keys:  keys,
	Power: open,
}

// keys are the settings that the method knows.
var keys = []fencing.Key{
	{Name: "address", Required: true, Doc: "the controller's host name or IP address, with :PORT if it is not 623"},
	{Name: "user", Required: true, Doc: "an account of the controller that may switch power"},
	{Name: "password_file", Required: true, Doc: "a file that holds only its password, readable by root alone (mode 0600)"},
	{Name: "cipher", Doc: "the cipher suite: 17, 3 or auto (default: 17, and 3 where the controller does not take 17)"},
	{Name: "privilege", Doc: "the privilege level of the session: operator (default) or administrator"},
	{Name: "uuid", Doc: "the machine's system UUID; nothing is switched where the controller shows another one"},
}

const (
	defaultPort = "623"
	maxPassword = 20 // bytes that IPMI 2.0 has room for
)

// settings are the parsed settings of one device.
type settings struct {
	address      string // host:port
	user         string
	passwordFile string
	suites       []suite // in the order in which they are tried
	privilege    types.PrivilegeLevel
	uuid         string
}

func open(raw map[string]string) (fencing.PowerDevice, error) {
	if err := fencing.CheckSettings(keys, raw); err != nil {
		return nil, err
	}
	s := settings{user: raw["user"], passwordFile: raw["password_file"], uuid: raw["uuid"]}
	var err error
	if s.address, err = address(raw["address"]); err != nil {
		return nil, err
	}
	if len(s.user) > rmcpplus.MaxUserNameLength {
		return nil, fmt.Errorf(`%w: setting "user" has %d bytes, IPMI knows names of at most %d: write the account's name as the controller shows it`, fencing.ErrSettings, len(s.user), rmcpplus.MaxUserNameLength)
	}
	switch raw["cipher"] {
	case "", "auto":
		s.suites = []suite{suite17, suite3}
	case "17":
		s.suites = []suite{suite17}
	case "3":
		s.suites = []suite{suite3}
	default:
		return nil, fmt.Errorf(`%w: setting "cipher" is %q: write 17, 3 or auto; other suites sign or encrypt too little`, fencing.ErrSettings, raw["cipher"])
	}
	switch strings.ToLower(raw["privilege"]) {
	case "", "operator":
		s.privilege = types.PrivilegeLevelOperator
	case "administrator":
		s.privilege = types.PrivilegeLevelAdministrator
	default:
		return nil, fmt.Errorf(`%w: setting "privilege" is %q: write operator or administrator`, fencing.ErrSettings, raw["privilege"])
	}
	if err := fencing.CheckUUID(s.uuid); err != nil {
		return nil, err
	}
	return &device{s: s}, nil
}

// address checks HOST, HOST:PORT, [IPv6]:PORT or a bare IPv6 address. It shows nothing of what might hold a password.
func address(raw string) (string, error) {
	a := strings.TrimSpace(raw)
	if strings.ContainsAny(a, "/@ \t\r\n") {
		return "", fmt.Errorf(`%w: setting "address" is no address: write HOST or HOST:PORT, without a scheme, path or user`, fencing.ErrSettings)
	}
	host, port := strings.TrimSuffix(strings.TrimPrefix(a, "["), "]"), defaultPort
	if net.ParseIP(host) == nil && strings.Contains(a, ":") {
		var err error
		if host, port, err = net.SplitHostPort(a); err != nil {
			return "", fmt.Errorf(`%w: setting "address" is no address: write HOST, HOST:PORT or [IPv6]:PORT`, fencing.ErrSettings)
		}
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return "", fmt.Errorf(`%w: setting "address" has an impossible port: write a number from 1 to 65535, or leave it out for %s`, fencing.ErrSettings, defaultPort)
	}
	if host == "" {
		return "", fmt.Errorf(`%w: setting "address" has no host: write HOST or HOST:PORT`, fencing.ErrSettings)
	}
	return net.JoinHostPort(host, port), nil
}

func readPassword(s settings) (string, error) {
	password, err := fencing.ReadSecret("password_file", s.passwordFile)
	if err != nil {
		return "", err
	}
	if len(password) > maxPassword {
		return "", fmt.Errorf("%w: password_file %s holds more than %d bytes, which no IPMI controller can store: give the account a shorter password", fencing.ErrSettings, s.passwordFile, maxPassword)
	}
	return password, nil
}
