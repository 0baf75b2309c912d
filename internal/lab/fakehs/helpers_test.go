// SPDX-License-Identifier: Apache-2.0

package fakehs_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/fakehs"
)

const (
	r0        = "/_matrix/client/r0"
	askPath   = "/_matrix/identity/api/v1/validate/email/requestToken"
	checkPath = "/_matrix/identity/api/v1/3pid/getValidated3pid"
	bindPath  = "/_matrix/identity/api/v1/3pid/bind"
	unbind    = "/_matrix/identity/api/v1/3pid/unbind"
)

// idServer is an identity server that answers what the test tells it to.
type idServer struct {
	*httptest.Server
	name string // what a client gives as id_server

	mu      sync.Mutex
	answers map[string]answer
	seen    []seen
}

type answer struct {
	status int
	body   string
}

type seen struct {
	method, path, query, body string
	header                    http.Header
}

func newIDServer(t *testing.T) *idServer {
	t.Helper()
	is := &idServer{answers: map[string]answer{}}
	is.Server = httptest.NewTLSServer(is)
	t.Cleanup(is.Close)
	is.name = strings.TrimPrefix(is.URL, "https://")
	is.answer(askPath, 200, `{"sid":"S1"}`)
	is.answer(bindPath, 200, `{"medium":"email","address":"new@example.org"}`)
	is.answer(unbind, 200, `{}`)
	return is
}

func (is *idServer) answer(path string, status int, body string) {
	is.mu.Lock()
	defer is.mu.Unlock()
	is.answers[path] = answer{status, body}
}

// validated makes the server vouch for an email address.
func (is *idServer) validated(address string) {
	is.answer(checkPath, 200, `{"medium":"email","address":"`+address+`","validated_at":1700000000000}`)
}

func (is *idServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	is.mu.Lock()
	is.seen = append(is.seen, seen{r.Method, r.URL.Path, r.URL.RawQuery, string(body), r.Header.Clone()})
	a, ok := is.answers[r.URL.Path]
	is.mu.Unlock()
	if !ok {
		a = answer{404, "nothing here"}
	}
	if a.status >= 300 && a.status < 400 {
		w.Header().Set("Location", a.body)
	}
	w.WriteHeader(a.status)
	_, _ = io.WriteString(w, a.body)
}

// calls returns what the server saw at a path.
func (is *idServer) calls(path string) []seen {
	is.mu.Lock()
	defer is.mu.Unlock()
	var out []seen
	for _, s := range is.seen {
		if s.path == path {
			out = append(out, s)
		}
	}
	return out
}

// world is a homeserver that trusts one identity server, behind a real listener.
type world struct {
	*testing.T
	hs  *fakehs.Server
	is  *idServer
	url string
}

func newWorld(t *testing.T, opts fakehs.Options) *world {
	t.Helper()
	is := newIDServer(t)
	if opts.ServerName == "" {
		opts.ServerName = "hs.example"
	}
	opts.TrustedIDServers = append(opts.TrustedIDServers, is.name)
	opts.HTTPClient = is.Client()
	hs := fakehs.New(opts)
	srv := httptest.NewServer(hs)
	t.Cleanup(srv.Close)
	return &world{t, hs, is, srv.URL}
}

// reply is one answer of the homeserver.
type reply struct {
	status int
	header http.Header
	raw    string
	json   map[string]any
}

func (w *world) do(method, path, token, body string) reply {
	w.Helper()
	req, err := http.NewRequest(method, w.url+path, strings.NewReader(body))
	if err != nil {
		w.Fatalf("build %s %s: %v", method, path, err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	return w.send(req)
}

func (w *world) send(req *http.Request) reply {
	w.Helper()
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		w.Fatalf("send %s %s: %v", req.Method, req.URL.Path, err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		w.Fatalf("read the answer of %s %s: %v", req.Method, req.URL.Path, err)
	}
	out := reply{resp.StatusCode, resp.Header, string(raw), nil}
	_ = json.Unmarshal(raw, &out.json)
	return out
}

func (w *world) post(path, token, body string) reply {
	w.Helper()
	return w.do(http.MethodPost, r0+path, token, w.fill(body))
}

// fill puts the name of the identity server where a body says $IS.
func (w *world) fill(body string) string { return strings.ReplaceAll(body, "$IS", w.is.name) }

// token logs an account in.
func (w *world) token(user, password string) string {
	w.Helper()
	got := w.post("/login", "", `{"type":"m.login.password","user":"`+user+`","password":"`+password+`"}`)
	if got.status != 200 {
		w.Fatalf("log in %s: got %d %s, want 200", user, got.status, got.raw)
	}
	return got.json["access_token"].(string)
}

// wants fails the test unless the answer has that status and errcode.
func (r reply) wants(t testing.TB, status int, errcode string) {
	t.Helper()
	got, _ := r.json["errcode"].(string)
	if r.status != status || got != errcode {
		t.Errorf("got %d %s, want %d %q", r.status, r.raw, status, errcode)
	}
}

// isJSON fails the test unless the answer is the same JSON as want.
func (r reply) isJSON(t testing.TB, want string) {
	t.Helper()
	var got, exp any
	dec := json.NewDecoder(bytes.NewReader([]byte(r.raw)))
	if err := dec.Decode(&got); err != nil {
		t.Fatalf("decode %q: %v", r.raw, err)
	}
	if err := json.Unmarshal([]byte(want), &exp); err != nil {
		t.Fatalf("decode the wanted %q: %v", want, err)
	}
	if !reflect.DeepEqual(got, exp) {
		t.Errorf("got %s, want %s", r.raw, want)
	}
}

const credsJSON = `{"sid":"S1","client_secret":"C1","id_server":"$IS"}`

// emailAuth is an auth object with an email stage and, if given, a session.
func emailAuth(session string) string {
	if session != "" {
		session = `"session":"` + session + `",`
	}
	return `{` + session + `"type":"m.login.email.identity","threepid_creds":` + credsJSON + `}`
}

// serve puts a homeserver behind a listener, without an identity server.
func serve(t *testing.T, hs *fakehs.Server) *world {
	t.Helper()
	srv := httptest.NewServer(hs)
	t.Cleanup(srv.Close)
	return &world{T: t, hs: hs, url: srv.URL}
}
