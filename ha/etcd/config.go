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

// Voter is a member of the etcd cluster.
type Voter struct {
	Name    ha.NodeName
	Address string // IP address or host name that everybody reaches it at
}

// TLS names the PEM files of this node. The certificate must serve both ends (server and client authentication) and
// name the voter's Address; everybody with a certificate of this CA is trusted as a member.
type TLS struct {
	CAFile, CertFile, KeyFile string
}

// Config says what to run and where. All times come from Timing.
type Config struct {
	Self        ha.NodeName
	Cluster     string  // names the key prefix
	DataDir     string  // of the embedded server; created when missing
	Voters      []Voter // the initial voters, the same list in the same order everywhere
	BindAddress string  // IP address to listen on; empty: all
	PeerPort    int
	ClientPort  int
	TLS         TLS
	Timing      ha.Timing
	Token       string // initial cluster token: two clusters never mix
	Log         logrus.FieldLogger
}

// ErrConfig is wrapped by every refusal of a configuration.
var ErrConfig = errors.New("etcd configuration refused")

// check refuses what cannot work, before anything is created.
func (c Config) check() error {
	refuse := func(format string, args ...any) error {
		return fmt.Errorf("%w: %s", ErrConfig, fmt.Sprintf(format, args...))
	}
	switch {
	case c.Self == "" || c.Cluster == "" || c.Log == nil:
		return refuse("the node's name, the cluster's name and a log are required")
	case strings.Contains(c.Cluster, "/"):
		return refuse("the cluster's name %q must not contain a slash", c.Cluster)
	case len(c.Voters) == 0:
		return refuse("no voters: name at least one")
	case c.PeerPort <= 0 || c.ClientPort <= 0:
		return refuse("peer port %d and client port %d must be positive", c.PeerPort, c.ClientPort)
	case c.TLS.CAFile == "" || c.TLS.CertFile == "" || c.TLS.KeyFile == "":
		return refuse("CA, certificate and key files are all required: etcd is never spoken to in clear")
	case c.BindAddress != "" && net.ParseIP(c.BindAddress) == nil:
		return refuse("bind address %q must be an IP address", c.BindAddress)
	}
	if err := c.Timing.Check(); err != nil {
		return fmt.Errorf("%w: %w", ErrConfig, err)
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

// own returns this node's entry among the voters.
func (c Config) own() (Voter, bool) {
	for _, v := range c.Voters {
		if v.Name == c.Self {
			return v, true
		}
	}
	return Voter{}, false
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
