package config

import (
	"net"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"bascule/ha"
)

var (
	clusterName = regexp.MustCompile(`^[a-z0-9-]{1,32}$`)
	tokenID     = regexp.MustCompile(`^[^\s@!/]+@[A-Za-z][A-Za-z0-9.\-_]+![A-Za-z][A-Za-z0-9.\-_]+$`)
)

// maxSocketPath is what fits into a unix socket's address on Linux (unix(7): 108 bytes with the closing zero).
const maxSocketPath = 107

// validate notes everything that is wrong with the decoded settings and everything that deserves a warning.
func (c *Config) validate(s *source, env surroundings) {
	if !clusterName.MatchString(c.Cluster) {
		s.fail("cluster", "is %q; write 1 to 32 of a-z, 0-9 and -, for example lab", cut(c.Cluster))
	}
	c.validateMembers(s)
	if c.External() {
		c.validateExternal(s)
	} else {
		c.validateVoters(s)
		if !s.broken("etcd.endpoints") {
			c.validateEmbedded(s)
		}
	}
	c.validateTiming(s)
	c.validatePaths(s)
	c.validatePorts(s)
	c.validateGuard(s, env)
	if c.Role == RoleNode {
		c.validateProxmox(s)
		c.validateProtect(s)
	}
	c.validateFencing(s)
	c.validateAlerts(s)
}

// warn notes something allowed that the operator should know.
func (c *Config) warn(s *source, path, format string, args ...any) {
	c.warnings = append(c.warnings, s.at(path, format, args...))
}

// validatePaths wants absolute paths: the daemon's working directory is nobody's business. It never repeats the value, which
// may be a secret written in the place of its file.
func (c *Config) validatePaths(s *source) {
	for _, p := range []struct{ path, value string }{
		{"data_dir", c.DataDir}, {"run_dir", c.RunDir},
		{"tls.ca_file", c.TLS.CAFile}, {"tls.cert_file", c.TLS.CertFile}, {"tls.key_file", c.TLS.KeyFile},
		{"etcd.ca_file", c.Etcd.CAFile}, {"etcd.cert_file", c.Etcd.CertFile}, {"etcd.key_file", c.Etcd.KeyFile}, {"etcd.password_file", c.Etcd.PasswordFile},
		{"gossip.keyring_file", c.Gossip.KeyringFile}, {"api.socket", c.API.Socket}, {"guard.socket", c.Guard.Socket},
		{"guard.watchdog.device", c.Guard.Watchdog.Device}, {"proxmox.root", c.Proxmox.Root}, {"proxmox.ca_file", c.Proxmox.CAFile},
		{"proxmox.token_file", c.Proxmox.TokenFile}, {"alerts.webhook_url_file", c.Alerts.WebhookURLFile},
	} {
		if p.value != "" && !filepath.IsAbs(p.value) && s.has(p.path) {
			s.fail(p.path, "is not an absolute path; write it from the root, beginning with /")
		}
	}
	if filepath.Clean(c.DataDir) == filepath.Clean(c.RunDir) {
		s.fail("run_dir", "is the same as data_dir; write a directory that is emptied at boot, such as /run/bascule")
	}
	for _, p := range []struct{ path, value string }{{"api.socket", c.API.Socket}, {"guard.socket", c.Guard.Socket}} {
		if len(p.value) > maxSocketPath {
			at := p.path
			if !s.has(at) {
				at = "run_dir" // the socket lies there by default
			}
			s.fail(at, "leads to a unix socket's path of %d bytes, and at most %d are possible; write a shorter path", len(p.value), maxSocketPath)
		}
	}
	if c.API.Socket == c.Guard.Socket {
		s.fail("guard.socket", "is the same as api.socket; write another path, such as /run/bascule/guard.sock")
	}
}

// validatePorts wants every TCP port once: all listen on bind_address.
func (c *Config) validatePorts(s *source) {
	first := map[int]string{}
	for _, p := range []struct {
		path string
		port int
	}{
		{"gossip.port", c.Gossip.Port}, {"etcd.peer_port", c.Etcd.PeerPort}, {"etcd.client_port", c.Etcd.ClientPort}, {"api.port", c.API.Port},
	} {
		if c.External() && strings.HasPrefix(p.path, "etcd.") {
			continue // nobody listens there
		}
		if other, taken := first[p.port]; taken {
			at := p.path
			if !s.has(at) {
				at, other = other, at // blame the one that was written
			}
			s.fail(at, "is %d, which %s uses too; write another port", p.port, other)
			continue
		}
		first[p.port] = p.path
	}
}

func (c *Config) validateGuard(s *source, env surroundings) {
	w := c.Guard.Watchdog
	switch {
	case w.Driver == "lab" && !env.lab:
		s.fail("guard.watchdog.driver", "is \"lab\", which only lab builds know; write device, watchdog-mux or none")
	case w.Driver == "lab" && w.Device == "":
		s.fail("guard.watchdog.device", "is missing for driver lab; write the watchdog's path, for example device: /run/lab/watchdog.sock")
	case w.Driver == "device" && w.Device == "":
		s.fail("guard.watchdog.device", "is missing for driver device; write the watchdog's path, for example device: /dev/watchdog1 (/dev/watchdog0 is Proxmox's)")
	case w.Driver == "none" && w.Device != "":
		s.fail("guard.watchdog.device", "is set while the driver is none; name the driver or remove the device")
	}
}

func (c *Config) validateProxmox(s *source) {
	u, err := url.Parse(c.Proxmox.URL)
	if err != nil || u.Scheme != "https" || u.Hostname() == "" || strings.Trim(u.Path, "/") != "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		s.fail("proxmox.url", "is not an https address without a path; write https://127.0.0.1:8006")
	} else if port := u.Port(); port != "" {
		if _, err := net.LookupPort("tcp", port); err != nil {
			s.fail("proxmox.url", "has no valid port; write https://127.0.0.1:8006")
		}
	}
	if s.has("proxmox.token_id") && !tokenID.MatchString(c.Proxmox.TokenID) {
		s.fail("proxmox.token_id", "is not of the form user@realm!name; write for example bascule@pve!node1 (the token's secret belongs into token_file)")
	}
}

func (c *Config) validateProtect(s *source) {
	p := c.Protect
	for i, id := range p.VMIDs {
		at := itemPath("protect.vmids", i)
		if !ha.VMID(id).Valid() {
			s.fail(at, "is %d; write a guest's number, from 100 to 999999999", id)
		} else if slices.Index(p.VMIDs, id) < i {
			s.fail(at, "names guest %d twice; remove one", id)
		}
	}
	if p.All && (len(p.VMIDs) > 0 || len(p.Pools) > 0 || s.has("protect.tags") && len(p.Tags) > 0) {
		c.warn(s, "protect.all", "protects every guest, so tags, pools and vmids choose nothing; remove them or all: true")
	}
	if !p.All && len(p.Tags)+len(p.Pools)+len(p.VMIDs) == 0 && !s.broken("protect") {
		c.warn(s, "protect", "selects no guest, so nothing is recovered after a failure; write tags, pools, vmids or all: true")
	}
}

func (c *Config) validateAlerts(s *source) {
	if len(c.Alerts.Command) > 0 && !filepath.IsAbs(c.Alerts.Command[0]) {
		s.fail("alerts.command[0]", "is not an absolute path; write the program's full path, for example [/usr/local/bin/bascule-alert]")
	}
}
