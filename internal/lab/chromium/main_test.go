// SPDX-License-Identifier: Apache-2.0

package chromium

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

var (
	started   sync.Once
	shared    *Browser
	errShared error
)

// TestMain ends the browser that the tests share.
func TestMain(m *testing.M) {
	code := m.Run()
	if shared != nil {
		if err := shared.Close(); err != nil {
			fmt.Fprintln(os.Stderr, "close the browser:", err)
			code = 1
		}
	}
	os.Exit(code)
}

// skipUnavailable skips on a machine without the browser, but not where it is
// promised.
func skipUnavailable(t *testing.T, err error) {
	t.Helper()
	if errors.Is(err, ErrUnavailable) && os.Getenv("CI") != "true" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// tab opens a page in the shared browser.
func tab(t *testing.T, ctx context.Context) *Tab {
	t.Helper()
	started.Do(func() {
		env, err := Install(ctx, t.Logf)
		if err == nil {
			shared, err = Start(ctx, env)
		}
		errShared = err
	})
	skipUnavailable(t, errShared)
	page, err := shared.NewTab(ctx)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := page.Close(context.WithoutCancel(ctx)); err != nil {
			t.Error(err)
		}
	})
	return page
}

func deadline(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// must fails the test on any error.
func must(t *testing.T, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

// site is a small site that records the forms that were sent to it.
type site struct {
	*httptest.Server
	mu   sync.Mutex
	sent []*http.Request
}

const form = `<!DOCTYPE html><html lang="en"><head><title>T</title>
<style>body{background:#fff}@media(prefers-color-scheme:dark){body{background:#000}}</style></head>
<body><main><h1 id="h">Form</h1><form method="post"><label for="x">X</label> <input id="x" name="x">
<button>Send</button></form></main><script>document.getElementById("h").textContent="script"</script></body></html>`

func newSite(t *testing.T, policy string) *site {
	t.Helper()
	s := &site{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" {
			http.NotFound(w, r)
			return
		}
		_ = r.ParseForm()
		s.mu.Lock()
		s.sent = append(s.sent, r)
		s.mu.Unlock()
		if policy != "" {
			w.Header().Set("Content-Security-Policy", policy)
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		if r.Method == http.MethodPost {
			w.WriteHeader(http.StatusTeapot)
		}
		_, _ = strings.NewReader(form).WriteTo(w)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *site) last(t *testing.T) *http.Request {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.sent) == 0 {
		t.Fatal("no request was made")
	}
	return s.sent[len(s.sent)-1]
}
