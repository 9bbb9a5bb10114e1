package pvesim

import (
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// formats are the schema's formats of strings, with the words in which Proxmox refuses them. A format that is not
// here is not checked: its parameters are marked "unmodelled" in parameters.txt. The words for the kinds of task
// status are our own.
var formats = map[string]func(name, v string) error{
	"pve-node":                  matching(`^[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?$`, "value does not look like a valid node name"),
	"pve-vmid":                  matching(`^[1-9][0-9]{2,8}$`, "value does not look like a valid VM ID"),
	"pve-storage-id":            storageID,
	"pve-configid":              configID,
	"pve-configid-list":         listOf(configID),
	"pve-poolid":                matching(`^[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+){0,2}$`, "pool name '%s' contains invalid characters"),
	"pve-realm":                 matching(`^[A-Za-z][A-Za-z0-9._-]+$`, "value does not look like a valid realm"),
	"pve-priv-list":             listOf(privilege),
	"pve-tag-list":              listOf(matching(`(?i)^[a-z0-9_][a-z0-9_.+-]*$`, "invalid characters in tag")),
	"pve-ha-resource-or-vm-id":  matching(`^([a-z]+:\S+|[0-9]+)$`, "value does not look like a valid ha resource id"),
	"pve-task-status-type-list": listOf(matching(`(?i)^(ok|error|warning|unknown)$`, "invalid status '%s'")),
	"pve-storage-content-list":  listOf(matching(`^(images|rootdir|vztmpl|iso|backup|snippets|none|import)$`, "invalid content type '%s'")),
	"dns-name":                  dnsName,
	"dns-name-list":             listOf(dnsName),
	"urlencoded":                matching(`^[-%a-zA-Z0-9_.!~*'()]*$`, "invalid urlencoded string: %s"),
	"storage-pair-list":         listOf(storagePair),
	"pve-startup-order":         startupOrder,
	"CIDR":                      cidr,
	"pve-qm-memory":             memoryProperty,
}

var (
	storageID = matching(`(?i)^[a-z][a-z0-9_.-]*[a-z0-9]$`, "storage ID '%s' contains illegal characters")
	configID  = matching(`(?i)^[a-z][a-z0-9_-]+$`, "invalid configuration ID '%s'")
	dnsName   = matching(`^([a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?\.)*[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?$`, "value does not look like a valid DNS name")
)

// matching makes the check of a format that is a pattern. The words may quote the value ("%s").
func matching(pattern, refusal string) func(name, v string) error {
	re := regexp.MustCompile(pattern)
	return func(_, v string) error {
		if re.MatchString(v) {
			return nil
		}
		if strings.Contains(refusal, "%s") {
			return fmt.Errorf(refusal, v)
		}
		return errors.New(refusal)
	}
}

// listOf checks every element of a list, which Proxmox splits at commas, semicolons, blanks and zero bytes.
func listOf(check func(name, v string) error) func(name, v string) error {
	return func(name, v string) error {
		for _, e := range splitList(v) {
			if err := check(name, e); err != nil {
				return err
			}
		}
		return nil
	}
}

func splitList(v string) []string { return strings.FieldsFunc(v, isListSeparator) }

func isListSeparator(r rune) bool { return strings.ContainsRune(",; \t\n\x00", r) }

func privilege(_, v string) error {
	if !slices.Contains(allPrivileges, v) {
		return fmt.Errorf("invalid privilege '%s'", v)
	}
	return nil
}

// storagePair is "1", a storage, or "from:to".
func storagePair(name, v string) error {
	for _, id := range strings.SplitN(v, ":", 2) {
		if v == "1" {
			break
		}
		if err := storageID(name, id); err != nil {
			return fmt.Errorf("entry '%s' contains invalid ID - %w", v, err)
		}
	}
	return nil
}

var startupPart = regexp.MustCompile(`^((order=)?[0-9]+|up=[0-9]+|down=[0-9]+)$`)

func startupOrder(_, v string) error {
	for _, part := range strings.Split(v, ",") {
		if strings.TrimSpace(part) != "" && !startupPart.MatchString(part) || v == "" {
			return errors.New("unable to parse startup options")
		}
	}
	return nil
}

func cidr(_, v string) error {
	p, err := netip.ParsePrefix(v)
	if err != nil || p.Bits() <= 7 {
		return errors.New("value does not look like a valid CIDR network")
	}
	return nil
}

// memoryProperty is a VM's memory: "2048" or "current=2048".
func memoryProperty(name, v string) error {
	at := name + ".current"
	size := strings.TrimPrefix(v, "current=")
	switch n, err := strconv.Atoi(size); {
	case strings.Contains(size, "="):
		key, _, _ := strings.Cut(size, "=")
		return errors.New("invalid key in comma-separated list property: " + key)
	case !intPattern.MatchString(size):
		return fmt.Errorf("format error\n%s: type check ('integer') failed - got '%s'", at, size)
	case err == nil && n < 16:
		return fmt.Errorf("format error\n%s: value must have a minimum value of 16", at)
	}
	return nil
}
