// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestTrustProbe: it proves nothing, names us, and has a password that nobody
// knows.
func TestTrustProbe(t *testing.T) {
	seen := map[string]bool{}
	for range 3 {
		r := newRig(t)
		var asked atomic.Int64
		r.password = http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			asked.Add(1)
			raw, _ := io.ReadAll(req.Body)
			var body struct {
				NewPassword string          `json:"new_password"`
				Auth        json.RawMessage `json:"auth"`
			}
			if err := json.Unmarshal(raw, &body); err != nil {
				t.Error(err)
			}
			const want = `{"type":"m.login.email.identity","threepid_creds":{"sid":"doctor","client_secret":"doctor","id_server":"localhost:8443"}}`
			if string(body.Auth) != want {
				t.Errorf("got %s, want %s", body.Auth, want)
			}
			if len(body.NewPassword) < 20 || seen[body.NewPassword] {
				t.Errorf("got the password %q", body.NewPassword)
			}
			seen[body.NewPassword] = true
			if req.Method != http.MethodPost || req.Header.Get("Authorization") != "" || req.Header.Get("Content-Type") != "application/json" {
				t.Errorf("got %s with %v", req.Method, req.Header)
			}
			jsonAnswer(401, `{"errcode":"M_UNAUTHORIZED"}`).ServeHTTP(w, req)
		})
		report := Run(t.Context(), r.options())
		if asked.Load() != 1 {
			t.Errorf("got %d questions, want 1", asked.Load())
		}
		for _, f := range report.Findings {
			for password := range seen {
				if strings.Contains(f.Problem+f.Advice+f.Subject, password) {
					t.Errorf("the password is in %+v", f)
				}
			}
		}
	}
}

// TestNoncesDiffer: an answer of the past proves nothing.
func TestNoncesDiffer(t *testing.T) {
	seen := map[string]bool{}
	r := newRig(t)
	r.probe = http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		nonce := req.URL.Query().Get("nonce")
		if len(nonce) < 20 || seen[nonce] {
			t.Errorf("got the nonce %q", nonce)
		}
		seen[nonce] = true
		jsonAnswer(200, `{"proof":"`+prove("of the past")+`"}`).ServeHTTP(w, req)
	})
	o := r.options()
	for range 2 {
		for _, f := range Run(t.Context(), o).Findings {
			if f.Check == checkPublicURL && f.Code != codeOtherInstance {
				t.Errorf("got %s, want %s", f.Code, codeOtherInstance)
			}
		}
	}
}

// TestRedirectsAreToldByOrigin: the rest of a Location may repeat what was asked.
func TestRedirectsAreToldByOrigin(t *testing.T) {
	for location, want := range map[string]string{
		"https://sso.example.org/login?nonce=SECRET": "https://sso.example.org (", "/welcome?nonce=SECRET": "https://matrix.example.org (",
		"//evil.example/SECRET": "https://evil.example (", "http://a%zz/SECRET": "no URL", "https://user:SECRET@x.example/": "https://x.example (",
	} {
		r := newRig(t)
		r.public.handler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", location)
			w.WriteHeader(http.StatusMovedPermanently)
		})
		for _, f := range Run(t.Context(), r.options()).Findings {
			if f.Check == checkPublicURL && (f.Code != codeRedirected || !strings.Contains(f.Problem, want) || strings.Contains(f.Problem, "SECRET")) {
				t.Errorf("%s: got %s: %s", location, f.Code, f.Problem)
			}
		}
	}
}

// TestPublicURLWithAPassword does not tell it.
func TestPublicURLWithAPassword(t *testing.T) {
	o := Options{PublicURL: "https://user:hunter2@matrix.example.org", Prove: prove, Client: client(newAuthority(t, "x"), noRoute)}
	for _, f := range Run(t.Context(), o).Findings {
		if strings.Contains(f.Subject+f.Problem+f.Advice, "hunter2") {
			t.Errorf("got %+v", f)
		}
	}
}

// TestIdentityNames: with a path, and without a port.
func TestIdentityNames(t *testing.T) {
	for name, want := range map[string]string{
		"localhost:8443": "/_matrix/client/versions", "localhost": "/_matrix/client/versions",
		"localhost:8443/_idp/s3cr3t": "/_idp/s3cr3t/_matrix/client/versions",
	} {
		r := newRig(t)
		var path, host atomic.Value
		r.identity.handler = http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			path.Store(req.URL.Path)
			host.Store(req.Host)
			r.face(w, req)
		})
		o := r.options()
		report := Run(t.Context(), Options{IdentityName: name, IdentityDial: o.IdentityDial, IdentityRoots: o.IdentityRoots})
		if got := path.Load(); report.Worst() != OK || got != want {
			t.Errorf("%s: got %v and %+v, want %s", name, got, report.Findings, want)
		}
		if want, _, _ := strings.Cut(name, "/"); host.Load() != want {
			t.Errorf("%s: got host %v, want %s", name, host.Load(), want)
		}
	}
}

// TestSkewIsWhatCannotBeExplained: by the second that a Date is cut to, or by
// the time that the answer took.
func TestSkewIsWhatCannotBeExplained(t *testing.T) {
	sent := time.Date(2026, 1, 2, 3, 4, 5, 6e8, time.UTC)
	received := sent.Add(4 * time.Second)
	tests := []struct {
		date time.Time
		want time.Duration
	}{
		{sent, 0},
		{received, 0},
		{sent.Add(2 * time.Second), 0},
		{sent.Add(-500 * time.Millisecond), 0},
		{received.Add(time.Minute), time.Minute - 600*time.Millisecond},
		{sent.Add(-time.Minute), -time.Minute + 400*time.Millisecond},
	}
	for _, tt := range tests {
		w := newWeb(Options{Now: time.Now})
		w.observe("h", http.Header{"Date": {tt.date.Format(http.TimeFormat)}}, sent, received)
		if len(w.dates) != 1 || w.dates[0].skew != tt.want {
			t.Errorf("%s: got %+v, want %s", tt.date, w.dates, tt.want)
		}
	}
	w := newWeb(Options{Now: time.Now})
	w.observe("h", http.Header{}, sent, received)
	w.observe("h", http.Header{"Date": {"yesterday"}}, sent, received)
	if len(w.dates) != 0 {
		t.Errorf("got %+v without a date", w.dates)
	}
}

// TestAnswersAreBounded: by what is read, and without following anything.
func TestAnswersAreBounded(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		chunk := make([]byte, maxAnswer)
		for range 4 {
			_, _ = w.Write(chunk)
		}
	}))
	defer server.Close()
	a, err := newWeb(Options{Now: time.Now}).get(t.Context(), server.URL)
	if err != nil || len(a.body) != maxAnswer {
		t.Errorf("got %d bytes, %v, want %d", len(a.body), err, maxAnswer)
	}
	if _, err := newWeb(Options{Now: time.Now}).get(t.Context(), "http://%zz"); err == nil {
		t.Error("a URL that is none was asked")
	}
}

func TestNewerThanR05(t *testing.T) {
	for version, want := range map[string]bool{
		"r0.0.1": false, "r0.4.0": false, "r0.5.0": false, "r0.6.0": true, "r0.10.0": true, "v1.1": true, "": false, "r1": false, "r0.x": false,
	} {
		if got := newerThanR05(version); got != want {
			t.Errorf("%q: got %t, want %t", version, got, want)
		}
	}
}

// TestForeignTextIsCleaned, whatever it is.
func TestForeignTextIsCleaned(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		text := rapid.OneOf(rapid.String(), rapid.StringMatching(`[a-z"' <>@.\x1b\r\n\x{202e}]{0,400}`)).Draw(rt, "text")
		got := clean(text)
		if strings.ContainsAny(got, "\x1b\r\n\x00\u202e\u2028") || len(got) > maxForeign+len("…") {
			rt.Errorf("got %q", got)
		}
		if addressLike.MatchString(strings.ReplaceAll(got, "<address>", "")) {
			rt.Errorf("%q: got %q with an address in it", text, got)
		}
	})
	for text, want := range map[string]string{
		"550 5.1.1 <alice@example.org> unknown":     "550 5.1.1 <<address>> unknown",
		"to=alice+x@sub.example.org, relay refused": "to=<address>, relay refused",
		"\x1b]0;title\a plain":                      "]0;title  plain",
		"  spaces  ":                                "spaces",
		"an @ alone":                                "an @ alone",
	} {
		if got := clean(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}
