package pvesim

import (
	_ "embed"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

//go:embed parameters.txt
var parametersFile string

// param is one parameter of a call: its type and limits, as Proxmox's JSON schema has them.
type param struct {
	kind       string // string, integer, number, boolean
	required   bool
	format     string
	enum       []string
	min, max   string // as written: they appear in messages
	maxLen     int
	pattern    string // Perl's, as the schema has it
	matcher    *regexp.Regexp
	requires   string // another parameter that has to be given with this one
	root       bool   // only for root@pam itself
	inert      bool
	unmodelled bool
}

// schema is what one call accepts, parameters of its path included. A name that ends with "[n]" stands for all numbers.
type schema map[string]param

// parameters are the schemas of parameters.txt, by "METHOD path".
var parameters = mustParseParameters(parametersFile)

// mustParseParameters panics on a mistake in the file, which is part of the program.
func mustParseParameters(text string) map[string]schema {
	out := map[string]schema{}
	var current schema
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		switch {
		case len(f) == 0 || strings.HasPrefix(line, "#"):
		case strings.HasPrefix(line, " "):
			p, err := parseParam(f[1:])
			if err != nil {
				panic(fmt.Sprintf("pvesim: parameters.txt: %q: %v", strings.TrimSpace(line), err))
			}
			current[f[0]] = p
		default:
			current = schema{}
			if len(f) == 4 && f[2] == "like" {
				for name, p := range out[f[3]+" "+f[1]] {
					current[name] = p
				}
			}
			out[f[0]+" "+f[1]] = current
		}
	}
	return out
}

func parseParam(words []string) (param, error) {
	p := param{kind: words[0]}
	for _, w := range words[1:] {
		name, value, _ := strings.Cut(w, "=")
		var err error
		switch name {
		case "required":
			p.required = true
		case "root":
			p.root = true
		case "inert":
			p.inert = true
		case "unmodelled":
			p.unmodelled = true
		case "format":
			p.format = value
		case "enum":
			p.enum = strings.Split(value, ",")
		case "min":
			p.min = value
		case "max":
			p.max = value
		case "maxlen":
			p.maxLen, err = strconv.Atoi(value)
		case "requires":
			p.requires = value
		case "pattern":
			p.pattern = value
			p.matcher, err = regexp.Compile("^(?:" + strings.ReplaceAll(value, "(?^:", "(?:") + ")$") // Perl's default flags
		default:
			err = fmt.Errorf("unknown word %q", w)
		}
		if err != nil {
			return p, err
		}
	}
	return p, nil
}

// find looks a parameter up by its real name ("net0").
func (s schema) find(name string) (param, bool) {
	if p, ok := s[name]; ok {
		return p, true
	}
	p, ok := s[strings.TrimRight(name, "0123456789")+"[n]"]
	return p, ok && strings.TrimRight(name, "0123456789") != name
}

// verify checks the parameters as Proxmox's JSON schema does, and puts all complaints into one answer.
func (s schema) verify(params, path map[string]string) *apiError {
	errs := map[string]string{}
	given := func(name string) (string, bool) {
		if v, ok := path[name]; ok {
			return v, true
		}
		v, ok := params[name]
		return v, ok
	}
	check := func(name string) {
		v, _ := given(name)
		p, known := s.find(name)
		if !known {
			errs[name] = "property is not defined in schema and the schema does not allow additional properties"
			return
		}
		if what := p.verify(name, v); what != "" {
			errs[name] = what
		}
		if _, ok := given(p.requires); p.requires != "" && !ok {
			errs[p.requires] = "missing property - '" + name + "' requires this property"
		}
	}
	for name := range params {
		check(name)
	}
	for name := range path {
		check(name)
	}
	for name, p := range s {
		if _, ok := given(name); !ok && p.required {
			errs[name] = "property is missing and it is not optional"
		}
	}
	if len(errs) > 0 {
		return badParams(errs)
	}
	return nil
}

// restricted refuses what only root@pam may give, and says so about what the lab cannot do.
func (s schema) restricted(params map[string]string, who *caller) *apiError {
	for name, v := range params {
		p, _ := s.find(name)
		if p.root && v != "0" && v != "" && !who.root() {
			return badParam(name, "Only root may use this option.")
		}
		if p.unmodelled {
			return die("pvesim: the lab has no model of parameter '%s'", name)
		}
	}
	return nil
}

var (
	intPattern    = regexp.MustCompile(`^[+-]?[0-9]+$`)
	numberPattern = regexp.MustCompile(`^[+-]?([0-9]+\.[0-9]+|[0-9]+\.|\.[0-9]+|[0-9]+)([eE][+-]?[0-9]+)?$`)
)

// verify says what is wrong with a value, in Proxmox's words and in its order: type, format, pattern, length, size,
// enumeration. Only the first complaint is told.
func (p param) verify(name, v string) string {
	wrongType := p.kind == "boolean" && v != "0" && v != "1" || p.kind == "integer" && !intPattern.MatchString(v) ||
		p.kind == "number" && !numberPattern.MatchString(v)
	if wrongType {
		return "type check ('" + p.kind + "') failed - got '" + v + "'"
	}
	if check := formats[p.format]; check != nil {
		if err := check(name, v); err != nil {
			return "invalid format - " + err.Error() + "\n"
		}
	}
	if p.matcher != nil && !p.matcher.MatchString(v) {
		return "value does not match the regex pattern"
	}
	if p.maxLen > 0 && len([]rune(v)) > p.maxLen {
		return "value may only be " + strconv.Itoa(p.maxLen) + " characters long"
	}
	if what := p.limits(v); what != "" {
		return what
	}
	if p.enum != nil && !slices.Contains(p.enum, v) {
		return "value '" + v + "' does not have a value in the enumeration '" + strings.Join(p.enum, ", ") + "'"
	}
	return ""
}

func (p param) limits(v string) string {
	n, err := strconv.ParseFloat(v, 64)
	if err != nil {
		return ""
	}
	if limit, err := strconv.ParseFloat(p.max, 64); err == nil && n > limit {
		return "value must have a maximum value of " + p.max
	}
	if limit, err := strconv.ParseFloat(p.min, 64); err == nil && n < limit {
		return "value must have a minimum value of " + p.min
	}
	return ""
}
