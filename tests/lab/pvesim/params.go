package pvesim

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// schema names the parameters of a call and their types: "bool", "int", "string", "node", "enum a,b". A "!" before
// the type: it must be given. Parameters of the path are checked apart.
type schema map[string]string

var (
	intPattern  = regexp.MustCompile(`^[+-]?[0-9]+$`)
	nodePattern = regexp.MustCompile(`^[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?$`)
)

// verify checks the parameters as Proxmox's JSON schema does, and puts all complaints into one answer.
func (s schema) verify(params, path map[string]string) *apiError {
	errs := map[string]string{}
	if v, ok := path["vmid"]; ok {
		if !intPattern.MatchString(v) {
			errs["vmid"] = "type check ('integer') failed - got '" + v + "'"
		} else if n, err := strconv.Atoi(v); err != nil || n < 100 || n > 999999999 {
			errs["vmid"] = "invalid format - value does not look like a valid VM ID\n"
		}
	}
	for name, v := range params {
		kind, known := s[name]
		if !known {
			errs[name] = "property is not defined in schema and the schema does not allow additional properties"
			continue
		}
		if what := verifyValue(strings.TrimPrefix(kind, "!"), v); what != "" {
			errs[name] = what
		}
	}
	for name, kind := range s {
		if _, given := params[name]; !given && strings.HasPrefix(kind, "!") {
			errs[name] = "property is missing and it is not optional"
		}
	}
	if len(errs) > 0 {
		return badParams(errs)
	}
	return nil
}

func verifyValue(kind, v string) string {
	kind, options, _ := strings.Cut(kind, " ")
	switch kind {
	case "bool":
		if v != "0" && v != "1" {
			return "type check ('boolean') failed - got '" + v + "'"
		}
	case "int":
		if !intPattern.MatchString(v) {
			return "type check ('integer') failed - got '" + v + "'"
		}
	case "node":
		if !nodePattern.MatchString(v) {
			return "invalid format - value does not look like a valid node name\n"
		}
	case "enum":
		if list := strings.Split(options, ","); !slices.Contains(list, v) {
			return "value '" + v + "' does not have a value in the enumeration '" + strings.Join(list, ", ") + "'"
		}
	}
	return ""
}
