package alert

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

// Secret is text that shows itself nowhere but where it is used.
type Secret string

// String hides the secret from logs and errors.
func (Secret) String() string { return "(secret)" }

// GoString hides it from %#v.
func (Secret) GoString() string { return "(secret)" }

// MarshalText hides it from encoders.
func (Secret) MarshalText() ([]byte, error) { return []byte("(secret)"), nil }

// ReadWebhookURL reads a webhook's URL, which usually holds a token, from a file that only its owner can read. Errors
// wrap ErrConfig and do not quote the file.
func ReadWebhookURL(path string) (Secret, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("%w: webhook URL: %w", ErrConfig, err)
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return "", fmt.Errorf("%w: webhook URL: %w", ErrConfig, err)
	case !info.Mode().IsRegular():
		return "", fmt.Errorf("%w: webhook URL: %s is no regular file", ErrConfig, path)
	case info.Mode().Perm()&0o077 != 0:
		return "", fmt.Errorf("%w: webhook URL: others can read %s (mode %v): chmod 600 %s", ErrConfig, path, info.Mode().Perm(), path)
	}
	b, err := io.ReadAll(io.LimitReader(f, 8<<10))
	if err != nil {
		return "", fmt.Errorf("%w: webhook URL: %w", ErrConfig, err)
	}
	s := Secret(strings.TrimSpace(string(b)))
	if _, err := parseURL(s); err != nil {
		return "", fmt.Errorf("%w (file %s)", err, path)
	}
	return s, nil
}

// parseURL checks a webhook's URL without quoting it.
func parseURL(s Secret) (*url.URL, error) {
	u, err := url.Parse(string(s))
	if err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") {
		return nil, fmt.Errorf("%w: webhook URL: it is not of the form https://HOST/…", ErrConfig)
	}
	return u, nil
}

// backoff is the pause before each further attempt: a receiver that restarts is back by the last.
var backoff = []time.Duration{time.Second, 2 * time.Second, 5 * time.Second, 15 * time.Second, 30 * time.Second}

type webhook struct {
	url     *url.URL
	client  *http.Client
	timeout time.Duration
	sleep   func(context.Context, time.Duration) error
}

func newWebhook(c Config) (*webhook, error) {
	u, err := parseURL(c.WebhookURL)
	if err != nil {
		return nil, err
	}
	client := c.HTTP
	if client == nil { // a redirect would carry the message, and people's trust, elsewhere
		client = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	}
	return &webhook{url: u, client: client, timeout: c.Timeout, sleep: c.Sleep}, nil
}

func (w *webhook) name() string { return "webhook at " + w.url.Hostname() }

// deliver posts until it is accepted, refused for good (a 3xx or 4xx other than 408 and 429), or out of attempts.
func (w *webhook) deliver(ctx context.Context, body []byte) error {
	for attempt := 0; ; attempt++ {
		again, err := w.post(ctx, body)
		if err == nil {
			return nil
		}
		if !again || attempt == len(backoff) || ctx.Err() != nil {
			return fmt.Errorf("%s: given up after %d attempts: %w", w.name(), attempt+1, err)
		}
		if serr := w.sleep(ctx, backoff[attempt]); serr != nil {
			return fmt.Errorf("%s: %w; the daemon ended before the next attempt", w.name(), err)
		}
	}
}

// post makes one attempt; again says whether another may help.
func (w *webhook) post(ctx context.Context, body []byte) (again bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, w.timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url.String(), bytes.NewReader(body))
	if err != nil {
		return false, errors.New("the request cannot be built from the URL") // the error itself would quote it
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "basculed")
	resp, err := w.client.Do(req)
	if err != nil {
		if u := (*url.Error)(nil); errors.As(err, &u) { // quotes the whole URL, the secret with it
			err = u.Err
		}
		return true, err
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10)) // so that the connection is used again
	switch code := resp.StatusCode; {
	case code < 300:
		return false, nil
	case code >= 500, code == http.StatusTooManyRequests, code == http.StatusRequestTimeout:
		return true, fmt.Errorf("answered %s", resp.Status)
	default:
		return false, fmt.Errorf("refused with %s: check the URL", resp.Status)
	}
}
