package fenceagent

import (
	"encoding/base64"
	"encoding/json"
	"net/url"
	"strings"

	"bascule/fencing"
)

// maxOutput bounds what is kept of each of an agent's two outputs, in bytes.
const maxOutput = 8 << 10

// users are the account names, which some devices want together with the password in one text.
func (s settings) users() []string {
	var users []string
	for name, value := range s.options {
		if n := plain(name); n == "username" || n == "login" {
			users = append(users, value)
		}
	}
	return users
}

// scrubber removes secrets from an agent's texts, in the shapes in which they travel.
func scrubber(users, secrets []string) *strings.Replacer {
	var shapes []string
	for _, s := range secrets {
		for _, u := range users {
			shapes = append(shapes, base64.StdEncoding.EncodeToString([]byte(u+":"+s)))
		}
		inJSON, _ := json.Marshal(s)
		shapes = append(shapes, base64.StdEncoding.EncodeToString([]byte(s)),
			strings.ReplaceAll(s, `'`, `'"'"'`), // as shells and Python's quote write it
			strings.ReplaceAll(s, `\`, `\\`),    // as Python shows it
			strings.Trim(string(inJSON), `"`), url.QueryEscape(s), url.PathEscape(s), s)
	}
	var pairs []string
	for _, s := range shapes {
		pairs = append(pairs, s, "(secret)")
	}
	return strings.NewReplacer(pairs...)
}

// saying is what the agent said last, as the end of a sentence.
func saying(end ending) string {
	text := said(end)
	if text == "" {
		return ""
	}
	return "; it said: " + text
}

// errorMark is in the lines in which ClusterLabs' library reports an error, after the time or before the logger's name.
const errorMark = "ERROR:"

// complaints are the errors that an agent reports, one a line; all that it said if it marks none.
func complaints(end ending) string {
	var errs, all []string
	for _, out := range []string{end.stdout, end.stderr} {
		for line := range strings.Lines(out) {
			if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "Please use '-h'") {
				continue
			}
			all = append(all, line)
			if _, text, ok := strings.Cut(line, errorMark); ok {
				if text = strings.TrimSpace(strings.TrimPrefix(text, "root:")); text != "" {
					errs = append(errs, text)
				}
			}
		}
	}
	if len(errs) > 0 {
		return strings.Join(errs, "\n")
	}
	return strings.Join(all, "\n")
}

// said picks what a person wants to read out of an agent's outputs: the last error that it reports, or its last line.
func said(end ending) string {
	text := complaints(end)
	return fencing.Printable(text[strings.LastIndexByte(text, '\n')+1:], 200)
}
