// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/handlers/internal/wire"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/fakehs"
)

// upstream answers every request with one fixed answer.
func upstream(status int, body string, header ...string) wire.Next {
	return func(w http.ResponseWriter, r *http.Request) error {
		w.Header().Set("Content-Type", "application/json")
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		if r.Method == http.MethodHead {
			return nil
		}
		_, err := io.WriteString(w, body)
		return err
	}
}

const versionsPath = "/_matrix/client/versions"

func TestR19_R20_R22_F34_F35_Versions(t *testing.T) {
	for body, want := range map[string]string{
		`{"versions":["r0.3.0"]}`:                                                            `{"unstable_features":{"m.id_access_token":true,"m.require_identity_server":false,"m.separate_add_and_bind":true},"versions":["r0.3.0"]}`,
		`{"versions":[],"unstable_features":null}`:                                           `{"unstable_features":{"m.id_access_token":true,"m.require_identity_server":false,"m.separate_add_and_bind":true},"versions":[]}`,
		`{"unstable_features":{"a":true},"x":1.50,"y":"<"}`:                                  `{"unstable_features":{"a":true,"m.id_access_token":true,"m.require_identity_server":false,"m.separate_add_and_bind":true},"x":1.50,"y":"<"}`,
		`{"unstable_features":{"m.require_identity_server":true,"m.id_access_token":false}}`: `{"unstable_features":{"m.id_access_token":true,"m.require_identity_server":false,"m.separate_add_and_bind":true}}`,
	} {
		r := newRig(t, options{next: upstream(200, body, "Etag", `"x"`, "Last-Modified", "y", "Accept-Ranges", "bytes", "Cache-Control", "public", "Vary", "Authorization")})
		for _, path := range []string{versionsPath, "/chat/client/versions"} {
			rec := r.do("GET", path, "")
			wantStatus(t, rec, http.StatusOK)
			if got := rec.Body.String(); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
			h := rec.Header()
			if h.Get("Etag") != "" || h.Get("Last-Modified") != "" || h.Get("Accept-Ranges") != "" {
				t.Errorf("validators of another body are left: %v", h)
			}
			if got := h.Get("Content-Length"); got != strconv.Itoa(len(want)) {
				t.Errorf("got Content-Length %s, want %d", got, len(want))
			}
			if h.Get("Cache-Control") != "public" || h.Get("Vary") != "Authorization" {
				t.Errorf("other headers were lost: %v", h)
			}
			wantCORS(t, rec)
		}
	}
}

func TestR21_TakeoverDisabled(t *testing.T) {
	const body = `{"versions":["r0.3.0"]}`
	r := newRig(t, options{config: func(c *Config) { c.NoEmail = true }, next: upstream(200, body)})
	if got := r.do("GET", versionsPath, "").Body.String(); got != body {
		t.Errorf("got %s, want it unchanged", got)
	}
}

func TestVersionsAnswersThatCannotBeEdited(t *testing.T) {
	const good = `{"versions":[]}`
	big := `{"versions":["` + strings.Repeat("x", maxVersions) + `"]}`
	for name, c := range map[string]struct {
		status int
		body   string
		header []string
	}{
		"error":           {500, good, nil},
		"not found":       {404, `{"errcode":"M_UNRECOGNIZED"}`, nil},
		"broken":          {200, `{"versions":`, nil},
		"empty":           {200, ``, nil},
		"array":           {200, `[]`, nil},
		"duplicate":       {200, `{"a":1,"a":2}`, nil},
		"features wrong":  {200, `{"unstable_features":[]}`, nil},
		"brotli":          {200, "\x8b", []string{"Content-Encoding", "br"}},
		"HTML":            {200, `<html>`, []string{"Content-Type", "text/html"}},
		"broken gzip":     {200, "\x1f\x8b", []string{"Content-Encoding", "gzip"}},
		"oversized":       {200, big, nil},
		"oversized, told": {200, big, []string{"Content-Length", strconv.Itoa(len(big))}},
		"partial":         {206, good, nil},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, options{next: upstream(c.status, c.body, append([]string{"Etag", `"x"`}, c.header...)...)})
			rec := r.do("GET", versionsPath, "")
			wantStatus(t, rec, c.status)
			if rec.Body.String() != c.body || rec.Header().Get("Etag") != `"x"` {
				t.Errorf("the answer was changed: %v %.100s", rec.Header(), rec.Body)
			}
		})
	}
}

func TestR19_VersionsThatAreCompressedAllTheSame(t *testing.T) {
	pack := func(body string) string {
		var buf bytes.Buffer
		zw := gzip.NewWriter(&buf)
		_, _ = io.WriteString(zw, body)
		if err := zw.Close(); err != nil {
			t.Fatal(err)
		}
		return buf.String()
	}
	const want = `{"unstable_features":{"m.id_access_token":true,"m.require_identity_server":false,"m.separate_add_and_bind":true},"versions":[]}`
	r := newRig(t, options{next: upstream(200, pack(`{"versions":[]}`), "Content-Encoding", "gzip")})
	rec := r.do("GET", versionsPath, "")
	if rec.Body.String() != want || rec.Header().Get("Content-Encoding") != "" {
		t.Errorf("got %v %q, want %s", rec.Header(), rec.Body, want)
	}
	bomb := pack(`{"versions":["` + strings.Repeat("x", 4*maxVersions) + `"]}`)
	r = newRig(t, options{next: upstream(200, bomb, "Content-Encoding", "gzip")})
	rec = r.do("GET", versionsPath, "")
	if rec.Body.String() != bomb || rec.Header().Get("Content-Encoding") != "gzip" {
		t.Error("an answer that unpacks to more than the cap was changed")
	}
}

func TestVersionsRequestIsUnconditional(t *testing.T) {
	var seen http.Header
	r := newRig(t, options{})
	r.next = func(w http.ResponseWriter, req *http.Request) error {
		seen = req.Header
		return upstream(200, `{}`, "Content-Length", "2")(w, req)
	}
	req := httptest.NewRequest("HEAD", versionsPath, nil)
	req.Header.Set("If-None-Match", `"x"`)
	req.Header.Set("Range", "bytes=0-1")
	req.Header.Set("Accept-Encoding", "gzip, br")
	rec := r.send(req)
	if seen.Get("If-None-Match") != "" || seen.Get("Range") != "" || seen.Get("Accept-Encoding") != "identity" {
		t.Errorf("the homeserver was asked %v", seen)
	}
	if req.Header.Get("Accept-Encoding") != "gzip, br" || req.Header.Get("If-None-Match") == "" {
		t.Error("the request was not restored")
	}
	if rec.Body.Len() != 0 || rec.Header().Get("Content-Length") != "" {
		t.Errorf("got HEAD answer %v %q", rec.Header(), rec.Body)
	}
}

func TestVersionsFailuresAreNotOurs(t *testing.T) {
	failure := errors.New("refused")
	r := newRig(t, options{})
	rec := httptest.NewRecorder()
	err := r.client.ServeHTTP(rec, httptest.NewRequest("GET", versionsPath, nil), func(http.ResponseWriter, *http.Request) error { return failure })
	if !errors.Is(err, failure) {
		t.Errorf("got error %v, want the next handler's", err)
	}
	defer func() {
		if p, _ := recover().(error); !errors.Is(p, http.ErrAbortHandler) {
			t.Errorf("got panic %v, want the proxy's own", p)
		}
	}()
	_ = r.client.ServeHTTP(rec, httptest.NewRequest("GET", versionsPath, nil), func(w http.ResponseWriter, _ *http.Request) error {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"versions":`)
		panic(http.ErrAbortHandler)
	})
}

func TestR9_VersionsUnderAPrefixTheHomeserverKnows(t *testing.T) {
	r := newRig(t, options{})
	r.next = func(w http.ResponseWriter, req *http.Request) error {
		if req.URL.Path != "/chat/client/versions" {
			return upstream(404, `{"errcode":"M_UNRECOGNIZED"}`)(w, req)
		}
		return upstream(200, `{"versions":["c1"]}`)(w, req)
	}
	rec := r.do("GET", "/chat/client/versions", "")
	wantStatus(t, rec, http.StatusOK)
	if !strings.Contains(rec.Body.String(), `"c1"`) || !strings.Contains(rec.Body.String(), "m.require_identity_server") {
		t.Errorf("got %s", rec.Body)
	}
}

func FuzzEditVersions(f *testing.F) {
	f.Add([]byte(`{"versions":["r0.3.0"],"unstable_features":{"a":true}}`))
	f.Add([]byte(`{"unstable_features":{"m.require_identity_server":true}}`))
	f.Add([]byte("{\"\x00\":1}"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		edited, ok := editVersions(raw)
		if !ok {
			return
		}
		again, ok := editVersions(edited)
		if !ok || string(again) != string(edited) {
			t.Errorf("editing %q twice: %q, then %q", raw, edited, again)
		}
	})
}

// TestF34_ServedWhereAdvertised: clients of before r0.6 call what the flags
// promise under /unstable, later ones under /r0 and /v3.
func TestF34_ServedWhereAdvertised(t *testing.T) {
	r := newRig(t, options{})
	r.hs.AddUser("alice", "secret", "alice@x.org")
	token := r.login("alice", "secret")
	for i, version := range []string{"unstable", "r0", "v3"} {
		base := "/_matrix/client/" + version + "/account/3pid/"
		r.ids.Start("id.example.org", "1", "s", "email", "alice@x.org")
		wantStatus(t, r.as(token, "POST", base+"bind", bindBody("id.example.org", "1", "s")), http.StatusOK)
		wantStatus(t, r.as(token, "POST", base+"unbind", ofAlice("")), http.StatusOK)
		secret := "c" + strconv.Itoa(i)
		sid := r.validated("account/3pid", secret, version+"@x.org")
		wantStatus(t, r.as(token, "POST", base+"add", addBody(sid, secret, passwordAuth("", "secret"))), http.StatusOK)
	}
	r.wantEmails(t, "alice", "alice@x.org", "unstable@x.org", "r0@x.org", "v3@x.org")
}

// TestF35_IDAccessTokenIsToleratedEverywhere: an old homeserver never sees it,
// because it answers 500 to a key that it does not know.
func TestF35_IDAccessTokenIsToleratedEverywhere(t *testing.T) {
	const both = `"id_server":"id.example.org","id_access_token":"t0k3n"`
	for name, config := range map[string]func(*Config){
		"off": nil, "callback": callback.config, "native": func(c *Config) { c.NativeReset = true },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, options{config: config, hs: func(o *fakehs.Options) {
				if name == "native" {
					o.ResetMode = fakehs.ResetLocal
				}
			}})
			r.hs.AddUser("alice", "secret", "alice@x.org")
			for purpose, email := range map[string]string{"register": "n@x.org", "account/3pid": "m@x.org", "account/password": "alice@x.org"} {
				rec := r.do("POST", "/_matrix/client/r0/"+purpose+"/email/requestToken",
					`{"client_secret":"c","email":"`+email+`","send_attempt":1,`+both+`}`)
				wantStatus(t, rec, http.StatusOK)
			}
			token := r.login("alice", "secret")
			sid := r.validated("account/3pid", "d", "new@x.org")
			wantStatus(t, r.add(token, "r0", `{"three_pid_creds":{"sid":"`+sid+`","client_secret":"d",`+both+`},"bind":true}`), http.StatusOK)
			for _, req := range r.hs.Requests() {
				if strings.Contains(string(req.Body), "t0k3n") {
					t.Errorf("the homeserver saw the token in %s", req.Path)
				}
			}
			if got := r.ids.Made(); len(got) != 0 {
				t.Errorf("got calls %q, want none: bind is ignored", got)
			}
		})
	}
}
