package redfish

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/stmcginnis/gofish/schemas"

	"bascule/fencing"
)

// statusOf returns the HTTP status that a controller refused with, 0 if err is something else.
func statusOf(err error) int {
	var e *schemas.Error
	if errors.As(err, &e) {
		return e.HTTPReturnedStatusCode
	}
	return 0
}

// translate turns an error of gofish or net/http into one of package fencing with a text that is safe to show: the
// original, which may quote a whole answer of the device, is dropped.
func translate(ctx context.Context, err error, scrub *strings.Replacer) error {
	if err == nil {
		return nil
	}
	kind, text := fencing.Classify(err), err.Error()
	var refused *schemas.Error
	switch {
	case errors.As(err, &refused) && refused.HTTPReturnedStatusCode != 0:
		kind, text = byStatus(refused.HTTPReturnedStatusCode), said(refused)
	case ctx.Err() != nil:
		kind = fencing.ErrTimeout
	}
	var cert *tls.CertificateVerificationError
	if errors.As(err, &cert) && len(cert.UnverifiedCertificates) > 0 {
		text = fmt.Sprintf("%v (its fingerprint is %x)", cert.Err, sha256.Sum256(cert.UnverifiedCertificates[0].Raw))
	}
	text = strings.TrimPrefix(text, kind.Error()+": ")
	return fmt.Errorf("%w: %s", kind, fencing.Printable(scrub.Replace(text), 250))
}

func byStatus(code int) error {
	switch code {
	case http.StatusUnauthorized:
		return fencing.ErrAuth
	case http.StatusNotFound:
		return fencing.ErrRubbish // there is no Redfish service, or not at the standard's places
	case http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return fencing.ErrTimeout // the controller is busy, or still booting
	}
	if code >= 300 && code < 400 {
		return fencing.ErrRubbish
	}
	return fencing.ErrRefused
}

// said picks what a person wants to read out of a controller's error.
func said(e *schemas.Error) string {
	text := e.Message
	for _, info := range e.ExtendedInfos {
		if info.Message != "" {
			text = info.Message
			break
		}
	}
	if strings.HasPrefix(strings.TrimSpace(text), "<") {
		text = "" // a web page
	}
	head := fmt.Sprintf("HTTP %d %s", e.HTTPReturnedStatusCode, http.StatusText(e.HTTPReturnedStatusCode))
	if text == "" {
		return head
	}
	return head + ": " + text
}
