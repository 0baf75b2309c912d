// SPDX-License-Identifier: Apache-2.0

package jssdk

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
)

// object is a JSON object.
type object = map[string]any

// sending is a row of the table in the package comment: a method, and what it
// sends when it is called with few arguments and with all of them.
type sending struct {
	method string
	want   string // method, path below /_matrix/, token, as in the table
	body   string // of the table
	few    []any
	all    []any // nil when there are no more
}

const asGiven = "as given"

var requestMail = []any{"ada@example.test", "secret", 1}

func requestSMS() []any { return []any{"GB", "7700900000", "secret", 1} }

var sendings = []sending{
	{"getVersions", "GET client/versions bearer", "-", nil, nil},
	{"isVersionSupported", "GET client/versions bearer", "-", []any{"v1.1"}, nil},
	{"doesServerSupportUnstableFeature", "GET client/versions bearer", "-", []any{"m.x"}, nil},
	{"loginFlows", "GET client/v3/login none", "-", nil, nil},
	{"loginRequest", "POST client/v3/login bearer", asGiven, []any{object{"type": "m.login.password", "x": 1.0}}, nil},
	{"login", "POST client/v3/login bearer", asGiven, []any{"m.login.password", object{"x": 1.0}}, nil},
	{"loginWithPassword", "POST client/v3/login bearer", "password type user", []any{"ada", "pw"}, nil},
	{"whoami", "GET client/v3/account/whoami bearer", "-", nil, nil},
	{"logout", "POST client/v3/logout bearer", "-", nil, nil},
	{"registerRequest", "POST client/v3/register none", asGiven, []any{object{"username": "ada", "x": 1.0}}, nil},
	{
		"requestRegisterEmailToken", "POST client/v3/register/email/requestToken none",
		"client_secret email (next_link) send_attempt:number", requestMail, append(slices.Clip(requestMail), "https://x"),
	},
	{
		"requestRegisterMsisdnToken", "POST client/v3/register/msisdn/requestToken none",
		"client_secret country (next_link) phone_number send_attempt:number", requestSMS(), append(requestSMS(), "https://x"),
	},
	{
		"requestPasswordEmailToken", "POST client/v3/account/password/email/requestToken none",
		"client_secret email (next_link) send_attempt:number", requestMail, append(slices.Clip(requestMail), "https://x"),
	},
	{
		"requestPasswordMsisdnToken", "POST client/v3/account/password/msisdn/requestToken none",
		"client_secret country (next_link) phone_number send_attempt:number", requestSMS(), append(requestSMS(), "https://x"),
	},
	{
		"requestAdd3pidEmailToken", "POST client/v3/account/3pid/email/requestToken none",
		"client_secret email (next_link) send_attempt:number", requestMail, append(slices.Clip(requestMail), "https://x"),
	},
	{
		"requestAdd3pidMsisdnToken", "POST client/v3/account/3pid/msisdn/requestToken none",
		"client_secret country (next_link) phone_number send_attempt:number", requestSMS(), append(requestSMS(), "https://x"),
	},
	{
		"setPassword", "POST client/v3/account/password bearer", "auth:object (logout_devices:boolean) new_password",
		[]any{object{"type": "x"}, "pw"},
		[]any{object{"type": "x"}, "pw", true},
	},
	{"getThreePids", "GET client/v3/account/3pid bearer", "-", nil, nil},
	{"addThreePidOnly", "POST client/v3/account/3pid/add bearer", asGiven, []any{object{"sid": "1", "x": 1.0}}, nil},
	{"bindThreePid", "POST client/v3/account/3pid/bind bearer", asGiven, []any{object{"sid": "1", "x": 1.0}}, nil},
	{
		"unbindThreePid", "POST client/v3/account/3pid/unbind bearer", "address (id_server) medium",
		[]any{"email", "ada@example.test"},
		[]any{"email", "ada@example.test"},
	},
	{
		"deleteThreePid", "POST client/v3/account/3pid/delete bearer", "address medium",
		[]any{"email", "ada@example.test"},
		nil,
	},
	{
		"deactivateAccount", "POST client/v3/account/deactivate bearer", "(auth:object) (erase:boolean)",
		nil,
		[]any{object{"type": "x"}, true},
	},
	{"getOpenIdToken", "POST client/v3/user/%40ada%3Aexample.test/openid/request_token bearer", "-", nil, nil},
	{"registerWithIdentityServer", "POST identity/v2/account/register none", asGiven, []any{object{"access_token": "x"}}, nil},
	{
		"requestEmailToken", "POST identity/v2/validate/email/requestToken bearer",
		"client_secret email (next_link) send_attempt",
		[]any{"ada@example.test", "secret", 1, nil, "id"},
		[]any{"ada@example.test", "secret", 1, "https://x", "id"},
	},
	{"getIdentityHashDetails", "GET identity/v2/hash_details bearer", "-", []any{"id"}, nil},
	{
		"lookupThreePid", "POST identity/v2/lookup bearer", "addresses:array algorithm pepper",
		[]any{"email", "ada@example.test", "id"},
		nil,
	},
}

// recorder is a homeserver and identity server that remembers the last request.
type recorder struct {
	mu   sync.Mutex
	line string // as sending.want
	body object
}

func (rec *recorder) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	raw, _ := io.ReadAll(r.Body)
	token := "none"
	if r.Header.Get("Authorization") != "" {
		token = "bearer"
	}
	rec.mu.Lock()
	rec.line = r.Method + " " + strings.TrimPrefix(r.RequestURI, "/_matrix/") + " " + token
	rec.body = nil
	if len(raw) > 0 && json.Unmarshal(raw, &rec.body) != nil {
		rec.line += " with a body that is no JSON object"
	}
	rec.mu.Unlock()
	respondJSON(w, 200, `{"versions": [], "unstable_features": {}, "lookup_pepper": "p", "algorithms": ["sha256"], "mappings": {}}`)
}

// members lists the members of a body as the table does; those that are not
// in few are in parentheses.
func members(few, all object) string {
	var list []string
	for _, name := range slices.Sorted(maps.Keys(all)) {
		entry := name
		switch all[name].(type) {
		case string:
		case float64:
			entry += ":number"
		case bool:
			entry += ":boolean"
		case []any:
			entry += ":array"
		default:
			entry += ":object"
		}
		if _, always := few[name]; !always {
			entry = "(" + entry + ")"
		}
		list = append(list, entry)
	}
	if len(list) == 0 {
		return "-"
	}
	return strings.Join(list, " ")
}

// calledWith calls the method on a client of its own, with or without an
// identity server, and returns what the server saw.
func (s sending) calledWith(t *testing.T, session *Session, url string, rec *recorder, args []any, identity bool) (string, object) {
	t.Helper()
	opts := ClientOptions{BaseURL: url, AccessToken: "token", UserID: "@ada:example.test"}
	if identity || strings.Contains(s.want, "identity/") {
		opts.IdentityServer = url
	}
	c, err := session.NewClient(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Call(t.Context(), s.method, args...); err != nil {
		t.Fatalf("%s: %v", s.method, err)
	}
	rec.mu.Lock()
	defer rec.mu.Unlock()
	return rec.line, rec.body
}

func TestWhatTheSDKSends(t *testing.T) {
	rec := &recorder{}
	srv := serve(t, rec.ServeHTTP)
	session := start(t, Options{})
	for _, s := range sendings {
		t.Run(s.method, func(t *testing.T) {
			line, few := s.calledWith(t, session, srv.URL, rec, s.few, false)
			if line != s.want {
				t.Errorf("got %s, want %s", line, s.want)
			}
			all := few
			if s.all != nil {
				_, all = s.calledWith(t, session, srv.URL, rec, s.all, true)
			}
			want := s.body
			if s.body == asGiven {
				given := maps.Clone(s.few[len(s.few)-1].(object))
				if s.method == "login" { // which takes it apart from the rest
					given["type"] = s.few[0]
				}
				want = members(given, given)
			}
			if got := members(few, all); got != want {
				t.Errorf("got body %s, want %s", got, want)
			}
		})
	}
}

// TestTheTableIsTrue holds the package comment to what is tested above.
func TestTheTableIsTrue(t *testing.T) {
	doc, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]bool{}
	for line := range strings.Lines(string(doc)) {
		if row, found := strings.CutPrefix(line, "//\t"); found {
			rows[strings.Join(strings.Fields(row), " ")] = true
		}
	}
	for _, s := range sendings {
		if row := fmt.Sprintf("%s %s %s", s.method, s.want, s.body); !rows[row] {
			t.Errorf("the table has no row %q", row)
		}
	}
	if got, want := len(rows), len(sendings); got != want {
		t.Errorf("got %d rows, want %d", got, want)
	}
}

// TestMethodsExist names every method that the end-to-end tests call, so that
// a newer SDK without one fails here and says which.
func TestMethodsExist(t *testing.T) {
	methods := start(t, Options{}).Methods()
	for _, s := range sendings {
		if !slices.Contains(methods, s.method) {
			t.Errorf("the SDK has no method %s", s.method)
		}
	}
	// Gone: with these, a client asked what it may leave to the homeserver.
	for _, old := range []string{
		"doesServerRequireIdServerParam", "doesServerAcceptIdentityAccessToken", "doesServerSupportSeparateAddAndBind", "addThreePid",
	} {
		if slices.Contains(methods, old) {
			t.Errorf("the SDK has %s, and the package comment says otherwise", old)
		}
	}
}
