package etcd

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/sirupsen/logrus"

	"bascule/ha"
)

// Voter is a member of Bascule's cluster that may be a member of etcd's.
type Voter struct {
	Name    ha.NodeName
	Address string // IP address or host name that everybody reaches it at
	Spare   bool   // a client like any other, until somebody lets it in
}

// TLS names the PEM files of this node. The certificate must serve both ends (server and client authentication) and
// name the voter's Address; everybody with a certificate of this CA is trusted as a member. Towards an external etcd
// it is a client's, and may be missing where a user logs in.
type TLS struct {
	CAFile, CertFile, KeyFile string
}

// External is an etcd cluster that others run: this node is its client and nothing more.
type External struct {
	Endpoints    []string // https://HOST:PORT each, members of one cluster
	User         string   // etcd's own authentication; empty: the certificate alone says who we are
	PasswordFile string   // read at every login, so that a change needs no restart
}

// Config says what to run and where. All times come from Timing. With External there are no voters, no data directory
// and no ports.
type Config struct {
	Self        ha.NodeName
	Cluster     string        // names the key prefix
	DataDir     string        // of the embedded server; created when missing
	Voters      []Voter       // the same list in the same order everywhere, spares included; who really is a member, etcd's own list says
	Initial     []ha.NodeName // those that formed the cluster at its first start; empty: all but the spares
	BindAddress string        // IP address to listen on; empty: all
	PeerPort    int
	ClientPort  int
	TLS         TLS
	Timing      ha.Timing
	Token       string // initial cluster token: two clusters never mix
	External    *External
	Log         logrus.FieldLogger

	noSync bool // for tests: they take the power away from nobody, and the disk below them may be slow
}

// ErrConfig is wrapped by every refusal of a configuration.
var ErrConfig = errors.New("etcd configuration refused")

// refuse is a refusal of the configuration.
func refuse(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrConfig, fmt.Errorf(format, args...))
}

// check refuses what cannot work, before anything is created.
func (c Config) check() error {
	switch {
	case c.Self == "" || c.Cluster == "" || c.Log == nil:
		return refuse("the node's name, the cluster's name and a log are required")
	case strings.Contains(c.Cluster, "/"):
		return refuse("the cluster's name %q must not contain a slash", c.Cluster)
	}
	if err := c.Timing.Check(); err != nil {
		return fmt.Errorf("%w: %w", ErrConfig, err)
	}
	if c.External != nil {
		return c.checkExternal()
	}
	return c.checkEmbedded()
}

func (c Config) checkEmbedded() error {
	switch {
	case c.wanted() == 0:
		return refuse("no voters: name at least one")
	case c.PeerPort <= 0 || c.ClientPort <= 0:
		return refuse("peer port %d and client port %d must be positive", c.PeerPort, c.ClientPort)
	case c.TLS.CAFile == "" || c.TLS.CertFile == "" || c.TLS.KeyFile == "":
		return refuse("CA, certificate and key files are all required: etcd is never spoken to in clear")
	case c.BindAddress != "" && net.ParseIP(c.BindAddress) == nil:
		return refuse("bind address %q must be an IP address", c.BindAddress)
	}
	names := map[ha.NodeName]bool{}
	for _, v := range c.Voters {
		if v.Name == "" || v.Address == "" || names[v.Name] || strings.ContainsAny(string(v.Name), "=,/") {
			return refuse("voter %q at %q: every voter needs a name of its own (without = , /) and an address", v.Name, v.Address)
		}
		names[v.Name] = true
	}
	if _, ok := c.own(); ok && (c.DataDir == "" || c.Token == "") {
		return refuse("%s is a voter: it needs a data directory and the cluster's token", c.Self)
	}
	return nil
}

func (c Config) checkExternal() error {
	x := c.External
	switch {
	case len(c.Voters) > 0:
		return refuse("voters and an external etcd: name one of the two")
	case len(x.Endpoints) == 0:
		return refuse("an external etcd without endpoints: name at least one, better all of its members")
	case c.TLS.CAFile == "":
		return refuse("the external etcd's CA file is required: etcd is never spoken to in clear")
	case (c.TLS.CertFile == "") != (c.TLS.KeyFile == ""):
		return refuse("a client certificate and its key go together: name both files or neither")
	case (x.User == "") != (x.PasswordFile == ""):
		return refuse("a user and a password file go together: name both or neither")
	case x.User == "" && c.TLS.CertFile == "":
		return refuse("neither a client certificate nor a user: an etcd that lets everybody write is no truth to run guests by")
	}
	seen := map[string]bool{}
	for _, e := range x.Endpoints {
		at, err := endpointAddress(e)
		if err != nil {
			return err
		}
		if seen[at] {
			return refuse("endpoint %s stands twice", at)
		}
		seen[at] = true
	}
	return nil
}

// endpointAddress is the host:port of an external endpoint. The error does not repeat what was written: it may hold a password.
func endpointAddress(endpoint string) (string, error) {
	u, err := url.Parse(endpoint)
	if err != nil || u.Scheme != "https" || u.Hostname() == "" || u.Port() == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return "", refuse("an endpoint of the external etcd is not of the form https://HOST:PORT")
	}
	return u.Host, nil
}

// own returns this node's entry among the voters.
func (c Config) own() (Voter, bool) {
	for _, v := range c.Voters {
		if v.Name == c.Self {
			return v, true
		}
	}
	return Voter{}, false
}

// wanted is how many voters there should be.
func (c Config) wanted() int {
	n := 0
	for _, v := range c.Voters {
		n += rank(!v.Spare)
	}
	return n
}

// prefix is where this cluster's keys live.
func (c Config) prefix() string { return "/bascule/v1/" + c.Cluster + "/" }

func (c Config) bind() string {
	if c.BindAddress == "" {
		return "0.0.0.0"
	}
	return c.BindAddress
}

func hostPort(host string, port int) string { return net.JoinHostPort(host, strconv.Itoa(port)) }

func httpsURL(host string, port int) url.URL {
	return url.URL{Scheme: "https", Host: hostPort(host, port)}
}

// callLimit bounds a call whose context has no deadline: an election, its loser's retry, and a second.
func (c Config) callLimit() time.Duration { return 2*c.Timing.EtcdElection + time.Second }
