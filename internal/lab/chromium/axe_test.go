// SPDX-License-Identifier: Apache-2.0

package chromium

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAxeFindsWhatIsWrong(t *testing.T) {
	ctx := deadline(t)
	page := tab(t, ctx)
	axe, err := Axe(ctx)
	skipUnavailable(t, err)
	good := newSite(t, "default-src 'none'; style-src 'unsafe-inline'")
	bad := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
		w.Header().Set("Content-Type", "text/html")
		_, _ = strings.NewReader(`<html><body><p style="color:#999;background:#aaa">grey</p><input name="x"><img></body></html>`).WriteTo(w)
	}))
	t.Cleanup(bad.Close)

	must(t, page.Use(ctx, Mode{Width: 800, Height: 600}), page.AllowScripts(ctx), page.Navigate(ctx, bad.URL))
	report, err := page.RunAxe(ctx, axe)
	must(t, err)
	found := map[string]bool{}
	for _, f := range report.Violations {
		found[f.ID] = true
	}
	for _, id := range []string{"color-contrast", "html-has-lang", "label", "document-title", "image-alt"} {
		if !found[id] {
			t.Errorf("axe-core did not find %s; it found %v", id, report.Violations)
		}
	}
	if got := report.Violations[0].String(); !strings.Contains(got, "\n\t<") {
		t.Errorf("a finding does not show its element: %q", got)
	}

	must(t, page.Navigate(ctx, good.URL))
	report, err = page.RunAxe(ctx, axe)
	must(t, err)
	if len(report.Violations) != 0 || report.Passed == 0 {
		t.Errorf("got %d passed, violations %v", report.Passed, report.Violations)
	}
}

// TestAxeIsTheOneThatWasPinned: what a registry hands out is not run unless it
// has the digest, and what is in the cache neither.
func TestAxeIsTheOneThatWasPinned(t *testing.T) {
	served := 0
	mirror := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		served++
		if want := "/npm/axe-core/-/axe-core-" + AxeVersion + ".tgz"; r.URL.Path != want {
			t.Errorf("got %s, want %s", r.URL.Path, want)
		}
		_, _ = w.Write([]byte("something else"))
	}))
	t.Cleanup(mirror.Close)
	cache := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", cache)
	t.Setenv("npm_config_registry", mirror.URL+"/npm/")
	if _, err := Axe(context.Background()); err == nil || !strings.Contains(err.Error(), "digest") {
		t.Errorf("got %v, want the digest refused", err)
	}
	kept, _ := filepath.Glob(filepath.Join(cache, "caddy-threepid", "*"))
	if len(kept) != 0 {
		t.Errorf("the wrong file was kept: %v", kept)
	}
	path := filepath.Join(cache, "caddy-threepid", "axe-core-"+AxeVersion+".tgz")
	must(t, os.WriteFile(path, []byte("tampered with"), 0o600))
	if _, err := Axe(context.Background()); err == nil || served != 2 {
		t.Errorf("got %v after %d downloads: a wrong file in the cache was used", err, served)
	}
	mirror.Close()
	if _, err := Axe(context.Background()); err == nil || !strings.Contains(err.Error(), ErrUnavailable.Error()) {
		t.Errorf("got %v, want %v", err, ErrUnavailable)
	}
}
