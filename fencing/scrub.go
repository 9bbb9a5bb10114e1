package fencing

import (
	"encoding/base64"
	"encoding/json"
	"net/url"
	"strings"
)

// Scrubber removes a password of HTTP's basic authentication, in the shapes that it takes on the wire, from texts of a device that
// echoes it.
func Scrubber(user, password string) *strings.Replacer {
	quoted, _ := json.Marshal(password)
	shapes := []string{
		base64.StdEncoding.EncodeToString([]byte(user + ":" + password)),
		base64.StdEncoding.EncodeToString([]byte(password)),
		strings.Trim(string(quoted), `"`), url.QueryEscape(password), url.PathEscape(password), password,
	}
	var pairs []string
	for _, s := range shapes {
		pairs = append(pairs, s, "(secret)")
	}
	return strings.NewReplacer(pairs...)
}
