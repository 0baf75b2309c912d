// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/feedback"
)

const (
	alice  = "alice@example.org"
	ourTag = "0123456789abcdefghijklmnopqrstuv"
	ourID  = "abc123@example.org"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

var errBroken = errors.New("broken on purpose")

// verp is our family of envelope senders.
var verp = feedback.VERP{Prefix: "bounces", Domain: "example.org"}

// inbox is a receiver that keeps what it gets.
type inbox struct {
	mu      sync.Mutex
	from    []feedback.Provider
	reports []feedback.Report
	notes   []feedback.Outcome
	fail    error
}

func (b *inbox) Receive(_ context.Context, from feedback.Provider, reports []feedback.Report) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.from = append(b.from, from)
	b.reports = append(b.reports, reports...)
	return b.fail
}

func (b *inbox) Note(_ feedback.Provider, what feedback.Outcome) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.notes = append(b.notes, what)
}

// post sends a body and returns the status of the answer, which has no body.
func post(t testing.TB, h http.Handler, body string, headers ...string) int {
	t.Helper()
	r := httptest.NewRequest(http.MethodPost, "/webhook", strings.NewReader(body))
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Body.Len() != 0 {
		t.Errorf("the answer has a body: %q", w.Body)
	}
	if got := w.Header().Get("Cache-Control"); got != "no-store" {
		t.Errorf("Cache-Control = %q", got)
	}
	return w.Code
}

// want checks the one report that arrived. Its ID must be there, whatever it
// is.
func (b *inbox) want(t *testing.T, want feedback.Report) {
	t.Helper()
	if len(b.reports) != 1 {
		t.Fatalf("%d reports, want 1: %+v, notes %q", len(b.reports), b.reports, b.notes)
	}
	got := b.reports[0]
	if got.ID == "" {
		t.Error("the report has no ID")
	}
	if got.ID = ""; !reflect.DeepEqual(got, want) {
		t.Errorf("report\n got %+v\nwant %+v", got, want)
	}
}

// wantNothing checks that nothing was done, and why.
func (b *inbox) wantNothing(t *testing.T, why feedback.Outcome) {
	t.Helper()
	if len(b.reports) != 0 || !slices.Equal(b.notes, []feedback.Outcome{why}) {
		t.Errorf("reports %+v, notes %q, want none and %q", b.reports, b.notes, why)
	}
}

// fixed is a clock that stands.
func fixed() time.Time { return start }

// rsaKey is made once: it takes a while.
var rsaKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

// certificate is a PEM file for a key, with the lifetime that edit gives it.
func certificate(t testing.TB, public, private any, edit func(*x509.Certificate)) []byte {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "sns.amazonaws.com"},
		NotBefore: start.Add(-30 * day), NotAfter: start.Add(300 * day),
	}
	if edit != nil {
		edit(template)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// memoryGuard is a Claimer.
type memoryGuard struct {
	mu    sync.Mutex
	seen  map[string][sha256.Size]byte
	until time.Time
	fail  error
}

func (g *memoryGuard) Claim(_ context.Context, token string, content [sha256.Size]byte, until time.Time) (bool, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.fail != nil {
		return false, g.fail
	}
	g.until = until
	if g.seen == nil {
		g.seen = map[string][sha256.Size]byte{}
	}
	known, again := g.seen[token]
	if !again {
		g.seen[token] = content
	}
	return !again || known == content, nil
}

// failingReader breaks off.
type failingReader struct{}

func (failingReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func newRequest(body io.Reader) *http.Request {
	return httptest.NewRequest(http.MethodPost, "/webhook", body)
}

func newRecorder() *httptest.ResponseRecorder { return httptest.NewRecorder() }
