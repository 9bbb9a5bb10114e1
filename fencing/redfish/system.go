package redfish

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/stmcginnis/gofish"

	"bascule/fencing"
	"bascule/ha"
)

// systemsPath is where the standard puts the collection of machines.
const systemsPath = "/redfish/v1/Systems"

// system is what is needed of a ComputerSystem resource. gofish's own type knows every field and fails as a whole when
// a firmware gets one of them wrong.
type system struct {
	Path       string          `json:"@odata.id"`
	PowerState *string         `json:"PowerState"`
	UUID       string          `json:"UUID"`
	Actions    json.RawMessage `json:"Actions"` // decoded only to reset: a reading does not depend on it
	Error      json.RawMessage `json:"error"`
}

// power translates the device's word, literally.
func (s *system) power() ha.Power {
	if s.PowerState == nil {
		return ha.PowerUnknown
	}
	switch *s.PowerState {
	case "On":
		return ha.PowerOn
	case "Off":
		return ha.PowerOff
	case "PoweringOn":
		return ha.PowerPoweringOn
	case "PoweringOff":
		return ha.PowerPoweringOff
	}
	return ha.PowerUnknown
}

// resetAction says where resets are sent and which types the device offers (nil if it does not say). If the device tells
// no place it is the standard's.
func (s *system) resetAction() (target string, offered []string, err error) {
	var a struct {
		Reset struct {
			Target  string   `json:"target"`
			Allowed []string `json:"ResetType@Redfish.AllowableValues"`
		} `json:"#ComputerSystem.Reset"`
	}
	if len(s.Actions) > 0 {
		if err := json.Unmarshal(s.Actions, &a); err != nil {
			return "", nil, fmt.Errorf("%w: its Actions: %w", fencing.ErrRubbish, err)
		}
	}
	if a.Reset.Target == "" {
		return strings.TrimRight(s.Path, "/") + "/Actions/ComputerSystem.Reset", a.Reset.Allowed, nil
	}
	target, err = local(a.Reset.Target)
	return target, a.Reset.Allowed, err
}

// local takes the path out of a link, so that no link leads credentials away from the device.
func local(link string) (string, error) {
	u, err := url.Parse(link)
	if err != nil || !strings.HasPrefix(u.Path, "/") || strings.HasPrefix(u.RequestURI(), "//") { // "//host/path" is a link to another host
		return "", fmt.Errorf("%w: its link %q is no path", fencing.ErrRubbish, fencing.Printable(link, 80))
	}
	return u.RequestURI(), nil
}

// fetchSystem reads the machine with this id, or the only one.
func fetchSystem(c *gofish.APIClient, id string) (*system, error) {
	at := systemsPath + "/" + url.PathEscape(id)
	if id == "" {
		var err error
		if at, err = onlySystem(c); err != nil {
			return nil, err
		}
	}
	sys := &system{}
	if err := get(c, at, sys); err != nil {
		if id != "" && statusOf(err) == http.StatusNotFound {
			return nil, noSuchSystem(c, id)
		}
		return nil, err
	}
	if sys.Path == "" {
		sys.Path = at
	}
	if sys.PowerState == nil && len(sys.Error) > 0 {
		return nil, fmt.Errorf("%w: it answers with an error: %s", fencing.ErrRefused, fencing.Printable(string(sys.Error), 200))
	}
	return sys, nil
}

// onlySystem finds the one machine of a controller.
func onlySystem(c *gofish.APIClient) (string, error) {
	links, err := listSystems(c)
	if err != nil {
		return "", err
	}
	switch len(links) {
	case 0:
		return "", fmt.Errorf("%w: it lists no machine", fencing.ErrRubbish)
	case 1:
		return local(links[0])
	}
	return "", fmt.Errorf("%w: it serves %d machines: write system: and one of %s", fencing.ErrSettings, len(links), ids(links))
}

func noSuchSystem(c *gofish.APIClient, id string) error {
	links, err := listSystems(c)
	if err != nil {
		return err
	}
	return fmt.Errorf("%w: it has no system %q: write one of %s", fencing.ErrWrongMachine, id, ids(links))
}

func listSystems(c *gofish.APIClient) ([]string, error) {
	var col struct {
		Members []struct {
			Path string `json:"@odata.id"`
		} `json:"Members"`
	}
	if err := get(c, systemsPath, &col); err != nil {
		return nil, err
	}
	var links []string
	for _, m := range col.Members {
		links = append(links, m.Path)
	}
	slices.Sort(links)
	return links, nil
}

func ids(links []string) string {
	var names []string
	for _, l := range links {
		names = append(names, path.Base(strings.TrimRight(l, "/")))
	}
	return fencing.Printable(strings.Join(names, ", "), 120)
}

// get reads one resource, which must be a JSON object and nothing after it.
func get(c *gofish.APIClient, at string, into any) error {
	resp, err := c.Get(at)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if trimmed := strings.TrimSpace(string(body)); !strings.HasPrefix(trimmed, "{") {
		return fmt.Errorf("%w: it answers %s with something that is not a JSON object", fencing.ErrRubbish, at)
	}
	if err := json.Unmarshal(body, into); err != nil {
		return errors.Join(fencing.ErrRubbish, err)
	}
	return nil
}
