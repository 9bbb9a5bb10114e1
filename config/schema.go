package config

import (
	"reflect"
	"strings"
)

// field is one key of a struct as its tags describe it.
type field struct {
	index    int
	key      string
	required bool
	def      string // as YAML; "<…>" means computed
	example  string
	doc      string
	enum     []string
	min, max string // of range; empty: none
	scalar   string // key that a bare scalar sets, for a section that may be written short
}

// computed says whether the default comes from other settings.
func (f field) computed() bool { return strings.Contains(f.def, "<") }

// sample is a value that would do, as YAML.
func (f field) sample() string {
	switch {
	case f.example != "":
		return f.example
	case len(f.enum) > 0 && f.computed():
		return f.enum[0]
	}
	return f.def
}

// fieldsOf lists a section's keys in their order.
func fieldsOf(t reflect.Type) []field {
	var out []field
	for i := range t.NumField() {
		tag := t.Field(i).Tag
		key := tag.Get("yaml")
		if key == "" || key == "-" {
			continue
		}
		f := field{
			index: i, key: key, required: tag.Get("required") == "true", def: tag.Get("default"),
			example: tag.Get("example"), doc: tag.Get("doc"), scalar: tag.Get("scalar"),
		}
		if e := tag.Get("enum"); e != "" {
			f.enum = strings.Split(e, "|")
		}
		f.min, f.max, _ = strings.Cut(tag.Get("range"), "..")
		out = append(out, f)
	}
	return out
}

// sectionsWith names the sections that know a key, for a key that was written in the wrong place.
func sectionsWith(key string) []string {
	var out []string
	walkSections(reflect.TypeFor[Config](), "", func(path string, fields []field) {
		for _, f := range fields {
			if f.key == key {
				out = append(out, path)
			}
		}
	})
	return out
}

// walkSections visits the root ("") and every section in it, entries of lists left out.
func walkSections(t reflect.Type, path string, visit func(path string, fields []field)) {
	fields := fieldsOf(t)
	visit(path, fields)
	for _, f := range fields {
		if ft := t.Field(f.index).Type; ft.Kind() == reflect.Struct {
			walkSections(ft, join(path, f.key), visit)
		}
	}
}

// join appends a key to a path.
func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}
