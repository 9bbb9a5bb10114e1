package proxmox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	goproxmox "github.com/luthermonson/go-proxmox"
	"github.com/sirupsen/logrus"

	"bascule/ha"
)

// DefaultCallTimeout bounds one request to the node's own API: PVE holds every 401 back for 3 s.
const DefaultCallTimeout = 10 * time.Second

// Config says where the node's own Proxmox is and which guests are to be protected.
type Config struct {
	Node        ha.NodeName   // this node, as /etc/pve/nodes names it
	URL         string        // "https://127.0.0.1:8006": the address that is dialled
	ServerName  string        // name in the API's certificate; empty: the URL's host
	CAFile      string        // PEM of the CA that signed it, on a PVE node /etc/pve/pve-root-ca.pem
	TokenID     string        // "bascule@pve!node1"
	TokenSecret string        `json:"-"` // never logged, never in errors
	Tree        Tree          // usually OSTree("/etc/pve")
	HostRoot    string        // prefix for PVE's lock files; empty: "/"
	CallTimeout time.Duration // of one API request; 0: DefaultCallTimeout
	Protect     ha.Protect
	Log         logrus.FieldLogger                         // nil: silent
	Sleep       func(context.Context, time.Duration) error // nil: real time; returns ctx's error when that ends first
}

// String shows the configuration without the token's secret.
func (c Config) String() string {
	return fmt.Sprintf("proxmox{node %s, url %s, token %s}", c.Node, c.URL, c.TokenID)
}

// GoString shows the configuration without the token's secret.
func (c Config) GoString() string { return c.String() }

// Driver is a node's own Proxmox. Its methods may be called from several goroutines.
type Driver struct {
	node     ha.NodeName
	client   *goproxmox.Client
	guard    *guard
	tree     Tree
	hostRoot string
	timeout  time.Duration
	protect  ha.Protect
	seen     lastStorages
	tokenID  string
	log      logrus.FieldLogger
	sleep    func(context.Context, time.Duration) error
}

// String names the driver; it holds a secret that %v must not reach.
func (d *Driver) String() string { return "proxmox driver of " + string(d.node) }

// GoString is String: %#v must not reach the secret either.
func (d *Driver) GoString() string { return d.String() }

// New checks the configuration and builds the client. It sends nothing; call CheckPrivileges next.
func New(cfg Config) (*Driver, error) {
	base, err := checkConfig(cfg)
	if err != nil {
		return nil, err
	}
	serverName := cfg.ServerName
	if serverName == "" {
		serverName = base.Hostname()
	}
	g, err := newGuard(cfg.CAFile, serverName)
	if err != nil {
		return nil, err
	}
	d := &Driver{
		node: cfg.Node, guard: g, tree: cfg.Tree, hostRoot: cfg.HostRoot, timeout: cfg.CallTimeout,
		protect: cfg.Protect, tokenID: cfg.TokenID, log: cfg.Log, sleep: cfg.Sleep,
	}
	if d.hostRoot == "" {
		d.hostRoot = "/"
	}
	if d.timeout <= 0 {
		d.timeout = DefaultCallTimeout
	}
	if d.log == nil {
		silent := logrus.New()
		silent.SetOutput(io.Discard)
		d.log = silent
	}
	if d.sleep == nil {
		d.sleep = realSleep
	}
	d.client = goproxmox.NewClient("https://"+base.Host+apiPrefix,
		goproxmox.WithHTTPClient(&http.Client{Transport: g}),
		goproxmox.WithAPIToken(cfg.TokenID, cfg.TokenSecret),
		goproxmox.WithUserAgent(userAgentName),
		goproxmox.WithLogger(quiet{}))
	return d, nil
}

// checkConfig refuses what could not work, without ever repeating the secret.
func checkConfig(cfg Config) (*url.URL, error) {
	base, err := url.Parse(cfg.URL)
	switch {
	case err != nil || base.Scheme != "https" || base.Host == "":
		return nil, fmt.Errorf("PVE API URL %q is not of the form https://127.0.0.1:8006", cfg.URL)
	case !plainName(string(cfg.Node)):
		return nil, fmt.Errorf("node name %q is not one of /etc/pve/nodes", cfg.Node)
	case cfg.Tree == nil:
		return nil, errors.New("no pmxcfs tree given; use OSTree(\"/etc/pve\")")
	case !validTokenID(cfg.TokenID):
		return nil, fmt.Errorf("API token id %q is not of the form user@realm!name", cfg.TokenID)
	case cfg.TokenSecret == "" || strings.ContainsAny(cfg.TokenSecret, " \t\r\n"):
		return nil, fmt.Errorf("the secret of API token %s is empty or holds white space; "+
			"make a new one with `pveum user token add`", cfg.TokenID)
	}
	return base, nil
}

// validTokenID tells "user@realm!name" from anything else that would break the Authorization header.
func validTokenID(id string) bool {
	user, name, ok := strings.Cut(id, "!")
	return ok && name != "" && strings.Contains(user, "@") && !strings.ContainsAny(id, " \t\r\n=")
}

// plainName says whether s can be one element of a path in the tree: a node's name from outside must not climb.
func plainName(s string) bool {
	return s != "" && s != "." && s != ".." && !strings.ContainsAny(s, "/\x00 \n")
}

// Close drops idle connections to the API.
func (d *Driver) Close() { d.guard.close() }

// realSleep waits for the time or the context.
func realSleep(ctx context.Context, wait time.Duration) error {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// quiet keeps go-proxmox from printing requests and bodies.
type quiet struct{}

func (quiet) Debugf(string, ...any) {}
func (quiet) Infof(string, ...any)  {}
func (quiet) Warnf(string, ...any)  {}
func (quiet) Errorf(string, ...any) {}
