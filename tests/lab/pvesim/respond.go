package pvesim

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"
)

// object is a JSON object whose keys are written in random order, as Perl's hashes are.
type object map[string]any

// MarshalJSON writes the keys in the order of Go's map iteration, which is random.
func (o object) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	first := true
	for k, v := range o {
		if !first {
			b.WriteByte(',')
		}
		first = false
		value, err := plainJSON(v)
		if err != nil {
			return nil, fmt.Errorf("pvesim: key %q: %w", k, err)
		}
		b.WriteString(strconv.Quote(k))
		b.WriteByte(':')
		b.Write(value)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

func plainJSON(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimRight(b.Bytes(), "\n"), nil
}

// shuffled puts rows into random order, as most lists of the API are.
func shuffled(rows []object) []object {
	if rows == nil {
		rows = []object{}
	}
	rand.Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
	return rows
}

// words joins a comma list in random order.
func words(list string) string {
	w := strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' })
	rand.Shuffle(len(w), func(i, j int) { w[i], w[j] = w[j], w[i] })
	return strings.Join(w, ",")
}

// response is an answer of the API. The reason phrase carries the message.
type response struct {
	status int
	reason string
	body   []byte // nil: no body and no content type
}

// apiError is a refusal. errors are the parameters of a 400.
type apiError struct {
	status  int
	message string
	errors  map[string]string
	bare    bool // the message in the body has no newline (501)
	empty   bool // no body at all (401, 595, 596)
}

func (e *apiError) Error() string { return e.message }

// die is Perl's die in a handler: a 500 with the message.
func die(format string, args ...any) *apiError {
	return &apiError{status: 500, message: fmt.Sprintf(format, args...)}
}

func badParams(errs map[string]string) *apiError {
	return &apiError{status: 400, message: "Parameter verification failed.", errors: errs}
}

func badParam(name, what string) *apiError { return badParams(map[string]string{name: what}) }

func forbidden(path, privs string) *apiError {
	return &apiError{status: 403, message: "Permission check failed (" + path + ", " + privs + ")"}
}

func (e *apiError) response() *response {
	reason, _, _ := strings.Cut(e.message, "\n")
	r := &response{status: e.status, reason: reason}
	if e.empty {
		return r
	}
	body := object{"data": nil, "message": e.message}
	if !e.bare {
		body["message"] = strings.TrimRight(e.message, "\n") + "\n"
	}
	if e.errors != nil {
		body["errors"] = e.errors
	}
	r.body, _ = plainJSON(body) // strings only: cannot fail
	return r
}

// result is a successful answer: data, and what stands beside it.
type result struct {
	data  any
	total *int
}

func (r result) response() *response {
	body := object{"data": r.data}
	if r.total != nil {
		body["total"] = *r.total
	}
	encoded, err := plainJSON(body)
	if err != nil {
		return die("encoding the answer failed: %v", err).response()
	}
	return &response{status: 200, reason: "OK", body: encoded}
}

// bytes writes the whole answer. net/http cannot: its reason phrases are fixed.
func (r *response) bytes(now time.Time, keepAlive bool) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "HTTP/1.1 %d %s\r\n", r.status, strings.Map(headerSafe, r.reason))
	b.WriteString("Cache-Control: max-age=0\r\n")
	if keepAlive {
		b.WriteString("Connection: Keep-Alive\r\n")
	} else {
		b.WriteString("Connection: close\r\n")
	}
	date := now.UTC().Format("Mon, 02 Jan 2006 15:04:05 GMT")
	b.WriteString("Date: " + date + "\r\nPragma: no-cache\r\nServer: pve-api-daemon/3.0\r\nExpires: " + date + "\r\n")
	if r.body != nil {
		b.WriteString("Content-Type: application/json;charset=UTF-8\r\n")
	}
	fmt.Fprintf(&b, "Content-Length: %d\r\n\r\n", len(r.body))
	b.Write(r.body)
	return b.Bytes()
}

func headerSafe(r rune) rune {
	if r < 0x20 || r == 0x7f {
		return ' '
	}
	return r
}
