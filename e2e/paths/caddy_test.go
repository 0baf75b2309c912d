// SPDX-License-Identifier: Apache-2.0

package paths

import (
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-threepid/caddy-threepid/handlers"
)

// matcher is Caddy's own `path` matcher for everything that is ours: what an
// administrator writes who routes these paths by hand.
func matcher(tb testing.TB) caddyhttp.MatchPath {
	tb.Helper()
	m := caddyhttp.MatchPath(append([]string{}, roots...))
	for _, prefix := range handlers.DefaultPrefixes {
		for _, tail := range tails {
			m = append(m, prefix+"/*/"+tail, prefix+"/api/*/"+tail)
		}
	}
	if err := m.Provision(caddy.Context{}); err != nil {
		tb.Fatal(err)
	}
	return m
}

// matches asks Caddy.
func matches(t *testing.T, m caddyhttp.MatchPath, r *http.Request) bool {
	t.Helper()
	r = caddyhttp.PrepareRequest(r, caddy.NewReplacer(), nil, nil)
	ok, err := m.MatchWithError(r)
	if err != nil {
		t.Fatal(err)
	}
	return ok
}

// mustNotMatch: what we pass on is none of ours to Caddy either, and it does not
// become one by Caddy's way of cleaning a path.
func mustNotMatch(t *testing.T, cfg handlers.Config, m caddyhttp.MatchPath, target string) (wasPassed bool) {
	t.Helper()
	r, _, ok := passed(cfg, target)
	if !ok {
		return false
	}
	if matches(t, m, r) {
		t.Errorf("%q is passed on, and matched by Caddy's path matcher", target)
	}
	for _, merge := range []bool{true, false} {
		u := *r.URL
		u.Path, u.RawPath = caddyhttp.CleanPath(u.Path, merge), ""
		if handlers.Ours(cfg, &u) {
			t.Errorf("%q is passed on, and Caddy cleans it to %q", target, u.Path)
		}
	}
	return true
}

func TestCaddyTakesNothingForOursThatWePassOn(t *testing.T) {
	cfg, m := router(), matcher(t)
	for _, own := range canonical() {
		r, ok := parse(own)
		if !ok || !handlers.Ours(cfg, r.URL) || !matches(t, m, r) {
			t.Errorf("%q: it has to be ours to both", own)
		}
	}
	all, passedOn := canonical(), 0
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		if mustNotMatch(t, cfg, m, misspell(rnd, all[rnd.IntN(len(all))])) {
			passedOn++
		}
	}
	if passedOn < 1_000 {
		t.Errorf("only %d of the paths were passed on: this compares too little", passedOn)
	}
}

// FuzzCaddyPaths is the same for paths that the fuzzer finds.
func FuzzCaddyPaths(f *testing.F) {
	for _, seed := range seeds() {
		f.Add(seed)
	}
	cfg, m := router(), matcher(f)
	f.Fuzz(func(t *testing.T, target string) {
		if !strings.ContainsAny(target, "\r\n") {
			mustNotMatch(t, cfg, m, target)
		}
	})
}
