package fencingtest

import (
	"encoding/pem"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
)

// Service is a simulated device or service that speaks HTTPS. Being unreachable and hanging are its own faults; what the others mean is up
// to its handler, which asks Fault.
type Service struct {
	*httptest.Server
	frail
	t    *testing.T
	over chan struct{} // the test is
}

// NewService starts a healthy one.
func NewService(t *testing.T, h http.Handler) *Service {
	s := &Service{Server: httptest.NewUnstartedServer(nil), t: t, over: make(chan struct{}), frail: frail{fault: Healthy}}
	s.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.Fault() == Hangs {
			s.Hang(r)
			return
		}
		h.ServeHTTP(w, r)
	})
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(func() {
		close(s.over)
		s.Close()
	})
	return s
}

// Break implements the machines of this package. One that is unreachable stays so.
func (s *Service) Break(f Fault) {
	s.frail.Break(f)
	if f == Unreachable {
		s.Listener.Close()
		s.CloseClientConnections()
	}
}

// Fault is the one it has now.
func (s *Service) Fault() Fault {
	s.frail.mu.Lock()
	defer s.frail.mu.Unlock()
	return s.fault
}

// Hang gives no answer to a request for as long as the client or the test lasts.
func (s *Service) Hang(r *http.Request) {
	select {
	case <-s.over:
	case <-r.Context().Done():
	}
}

// CAFile is a file with the authority of its certificate.
func (s *Service) CAFile() string { return CAFile(s.t, s.Certificate().Raw) }

// CAFile writes a certificate into a file of its own, as methods take authorities.
func CAFile(t *testing.T, der []byte) string {
	t.Helper()
	return file(t, "ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), 0o644)
}

// SecretFile writes a secret into a file of its own, as methods take it.
func SecretFile(t *testing.T, secret string) string {
	t.Helper()
	return file(t, "secret", secret+"\n", 0o600)
}

func file(t *testing.T, name, content string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil { // whatever the umask
		t.Fatal(err)
	}
	return path
}
