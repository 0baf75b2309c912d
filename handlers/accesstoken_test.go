// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/handlers/internal/hsapi"
	"github.com/caddy-threepid/caddy-threepid/handlers/internal/wire"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
)

// TestOneAccessTokenIsRead, from where clients write it; whoever writes none, or more
// than one, is told so.
func TestOneAccessTokenIsRead(t *testing.T) {
	const missing, many, odd = "Missing access token", "More than one access token", "Invalid Authorization header"
	for _, c := range []struct {
		query   string
		headers []string
		want    string // the token, or
		message string
	}{
		{"", nil, "", missing},
		{"?a=access_token", nil, "", missing},
		{"?access_token=a", nil, "a", ""},
		{"", []string{"Bearer a"}, "a", ""},
		{"?access_token=a&access_token=a", nil, "", many},
		{"?access_token=a", []string{"Bearer a"}, "", many},
		{"", []string{"Bearer a", "Bearer b"}, "", many},
		{"", []string{"Bearer "}, "", odd},
		{"", []string{"Basic a"}, "", odd},
		{"", []string{""}, "", odd},
	} {
		req := httptest.NewRequest("POST", "/"+c.query, nil)
		req.Header["Authorization"] = c.headers
		got, err := wire.AccessToken(req)
		if c.message == "" {
			if got != threepid.AccessToken(c.want) || err != nil || !wire.HasToken(req) {
				t.Errorf("%+v: got %q, %v", c, got, err)
			}
			continue
		}
		refused, _ := errors.AsType[*wire.MatrixError](err)
		if got != "" || refused == nil || *refused != (wire.MatrixError{Status: 401, Errcode: "M_MISSING_TOKEN", Message: c.message}) {
			t.Errorf("%+v: got %q, %+v", c, got, refused)
		}
		if may := wire.HasToken(req); may != (c.message != missing) {
			t.Errorf("%+v: there may be a token: %v", c, may)
		}
	}
}

// TestWhatWeAskIsOurOwn: a question of ours has nothing of the client's request but
// whose it is, and afterwards that is as it was.
func TestWhatWeAskIsOurOwn(t *testing.T) {
	for token, wantQuery := range map[string]string{"t": "user_id=%40as%3Ax.org", "": ""} {
		r := newRig(t, options{})
		req := httptest.NewRequest("POST", bindPath+"?user_id=%40as:x.org&x=1", strings.NewReader(`{"of":"the client's"}`))
		own := http.Header{"Authorization": {"Bearer client's"}, "Cookie": {"a=b"}, "Content-Type": {"text/plain"}, "Content-Length": {"21"}, "X-Forwarded-For": {"192.0.2.1"}}
		req.Header, req.TransferEncoding = own.Clone(), []string{"chunked"}
		before := *req
		asked := 0
		answer, err := r.client.hs.Ask(&wire.Call{R: req, Next: func(w http.ResponseWriter, got *http.Request) error {
			asked++
			want := http.Header{"Accept-Encoding": {"identity"}, "X-Forwarded-For": {"192.0.2.1"}}
			if token != "" {
				want["Authorization"] = []string{"Bearer t"}
			}
			if got.Method != "GET" || got.URL.Path != "/_matrix/client/tail" || got.URL.RawQuery != wantQuery || got.RequestURI != got.URL.RequestURI() {
				t.Errorf("%q: the homeserver was asked %s %s, %s", token, got.Method, got.URL, got.RequestURI)
			}
			if !sameHeader(got.Header, want) || got.Body != http.NoBody || got.ContentLength != 0 || got.TransferEncoding != nil {
				t.Errorf("%q: the homeserver saw %v, %d bytes %v", token, got.Header, got.ContentLength, got.TransferEncoding)
			}
			return upstream(200, `{}`)(w, got)
		}}, hsapi.Question{Method: "GET", Path: "tail", Token: threepid.AccessToken(token)})
		if err != nil || answer.Status != 200 || asked != 1 {
			t.Fatalf("got %v, %v", answer, err)
		}
		if req.Method != before.Method || req.URL != before.URL || req.RequestURI != before.RequestURI || req.Body != before.Body || !sameHeader(req.Header, own) {
			t.Errorf("%q: the request has become %s %s %v", token, req.Method, req.URL, req.Header)
		}
	}
}

func sameHeader(a, b http.Header) bool {
	var x, y strings.Builder
	_ = errors.Join(a.Write(&x), b.Write(&y)) // into memory
	return x.String() == y.String()
}

// TestWhoamiNamesAUser: anything else is no answer.
func TestWhoamiNamesAUser(t *testing.T) {
	long := "@" + strings.Repeat("a", 252) + ":x"
	for name, ok := range map[string]bool{
		"@alice:x.org": true, long: true, long + "y": false, "@alice": false, "alice:x.org": false, "": false, `@alice:x.org","user_id":[],"x":"`: false,
	} {
		r := newRig(t, options{next: upstream(200, `{"user_id":"`+name+`"}`)})
		req := httptest.NewRequest("POST", "/", nil)
		req.Header.Set("Authorization", "Bearer t")
		who, err := r.client.hs.Whoami(&wire.Call{R: req, Next: r.next})
		if ok && (err != nil || who.User != name || who.Token != "t") || !ok && (err == nil || wire.ErrorOf(err).Status != http.StatusBadGateway) {
			t.Errorf("%q: got %+v, %v", name, who, err)
		}
	}
}

// TestBodiesOfNothing: a handler before us may leave a request without any body.
func TestBodiesOfNothing(t *testing.T) {
	r := newRig(t, options{next: upstream(200, `{}`)})
	for target, want := range map[string]int{elsewhere: 200, "/_matrix/client/r0/register": 200, registerToken: 400, bindPath: 400} {
		req := httptest.NewRequest("POST", target, nil)
		req.Body = nil
		wantStatus(t, r.send(req), want)
	}
}

// TestEndpointsThatOnlyReadPass to the homeserver as it spells them, with no body, and what
// proves nothing passes; it is not reported as an answer of ours.
func TestEndpointsThatOnlyReadPass(t *testing.T) {
	for _, c := range []struct{ method, path, body string }{
		{"GET", "account/3pid", ""},
		{"PUT", "account/3pid/add", `{"sid":"x"}`},
		{"POST", "register", ""},
		{"GET", "account/deactivate", ""},
		{"POST", "account/deactivate", ""},
		{"POST", "register", `{"auth":{"type":"m.login.dummy"}}`},
		{"PUT", "account/3pid/delete", `{"x":1}`},
	} {
		passed := false
		r := newRig(t, options{next: func(w http.ResponseWriter, req *http.Request) error {
			raw, err := io.ReadAll(req.Body)
			passed = string(raw) == c.body && req.URL.Path == "/_matrix/client/r0/"+c.path && (c.body != "" || c.method == "GET" || req.ContentLength == 0 && req.TransferEncoding == nil)
			return errors.Join(err, upstream(200, `{}`)(w, req))
		}})
		req := httptest.NewRequest(c.method, "/chat/client/v3/"+c.path, chunked(c.body))
		req.TransferEncoding = []string{"chunked"}
		if rec := r.send(req); rec.Code != 200 || !passed || len(r.events.list) > 0 {
			t.Errorf("%s %s: got %d %s, passed on as it should be: %v, reported as %v", c.method, c.path, rec.Code, rec.Body, passed, r.events.list)
		}
	}
}
