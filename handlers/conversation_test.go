// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/handlers/internal/wire"
	"github.com/caddy-threepid/caddy-threepid/internal/keyring"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// homeserverName is what the homeserver of these tests calls its conversation.
const homeserverName = "kSoQSnQIkMbXfuRMkvBLquKU"

// talking is a homeserver that authenticates at every path, and writes down what
// it was sent.
type talking struct {
	bodies []map[string]any
	raw    []string
	header []http.Header
	answer func(w http.ResponseWriter)
}

func (h *talking) next(w http.ResponseWriter, r *http.Request) error {
	raw, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	var body map[string]any
	_ = json.Unmarshal(raw, &body) // nil: no object
	h.bodies, h.raw, h.header = append(h.bodies, body), append(h.raw, string(raw)), append(h.header, r.Header.Clone())
	if h.answer != nil {
		h.answer(w)
		return nil
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusUnauthorized)
	_, err = fmt.Fprintf(w, `{"session":%q,"flows":[{"stages":["m.login.password"]}],"params":{}}`, homeserverName)
	return err
}

// session is what the last request named, or nil.
func (h *talking) session() any {
	auth, _ := h.bodies[len(h.bodies)-1]["auth"].(map[string]any)
	return auth["session"]
}

func newTalking(t *testing.T) (*talking, *rig) {
	h := &talking{}
	return h, newRig(t, options{next: h.next})
}

// ring has a key of each fill, the one in use first.
func ring(t *testing.T, fills ...byte) *keyring.Ring {
	t.Helper()
	var keys []keyring.Key
	for i, fill := range fills {
		keys = append(keys, keyring.Key{ID: byte(len(fills) - i), Secret: bytes.Repeat([]byte{fill}, keyring.SecretSize)})
	}
	made, err := keyring.New(keys...)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// challengedAt has the homeserver begin a conversation, and returns the client's name.
func (r *rig) challengedAt(method, path string) string {
	r.t.Helper()
	rec := r.do(method, path, `{}`)
	wantStatus(r.t, rec, http.StatusUnauthorized)
	if strings.Contains(rec.Body.String(), homeserverName) {
		r.t.Errorf("%s %s tells the homeserver's name: %s", method, path, rec.Body)
	}
	name, _ := decoded(r.t, rec)["session"].(string)
	if name == "" {
		r.t.Fatalf("%s %s: no session in %s", method, path, rec.Body)
	}
	return name
}

// registrationName is the client's name for a registration that the homeserver
// calls session.
func (r *rig) registrationName(session string) string {
	return string(r.svc.SealConversation(verification.Conversation{Session: threepid.UIASession(session), Endpoint: registrationEndpoint}))
}

// inConversation is a body with the client's name for a conversation in the place of
// the homeserver's.
func (r *rig) inConversation(body, session, tail string) string {
	name := r.svc.SealConversation(verification.Conversation{Session: threepid.UIASession(session), Endpoint: "POST " + tail})
	return strings.ReplaceAll(body, fmt.Sprintf(`"session":%q`, session), fmt.Sprintf(`"session":%q`, name))
}

// wantUnsealed compares an answer, with the homeserver's name in it.
func (r *rig) wantUnsealed(rec *httptest.ResponseRecorder, want string) {
	r.t.Helper()
	got, wanted := decoded(r.t, rec), map[string]any{}
	name, _ := got["session"].(string)
	opened, ok := r.svc.OpenAnyConversation(threepid.SealedUIASession(name))
	if err := json.Unmarshal([]byte(want), &wanted); err != nil || !ok {
		r.t.Fatalf("%s: no name of ours, or %v", rec.Body, err)
	}
	if got["session"] = string(opened.Session); !reflect.DeepEqual(got, wanted) {
		r.t.Errorf("got %s, want %s but for the name", rec.Body, want)
	}
}

func withSession(name string) string {
	return fmt.Sprintf(`{"auth":{"type":"m.login.password","session":%q}}`, name)
}

// endpoints of the specification, and of homeservers, that authenticate.
var talkingEndpoints = []struct{ method, path string }{
	{"POST", "/_matrix/client/r0/register"},
	{"POST", "/_matrix/client/v3/register?kind=user"},
	{"POST", "/_matrix/client/r0/account/deactivate"},
	{"POST", "/_matrix/client/v3/account/deactivate"},
	{"POST", "/_matrix/client/r0/delete_devices"},
	{"DELETE", "/_matrix/client/v3/devices/ABC"},
	{"DELETE", "/_matrix/client/v3/devices/A%20C"},
	{"POST", "/_matrix/client/v3/keys/device_signing/upload"},
	{"POST", "/_matrix/client/unstable/keys/device_signing/upload"},
	{"PUT", "/_matrix/client/unstable/org.example.msc1/thing"},
	{"POST", "/_matrix/client/v2_alpha/whatever/is/next"},
	{"POST", "/_matrix/client//r0/delete_devices"},
	{"POST", "/_matrix/CLIENT/r0/delete_devices"},
	{"POST", "/%5Fmatrix/client/r0/delete_devices"},
	{"PATCH", "/chat/client/r0/x"},
}

// TestConversationNamesAreSealed: at every endpoint the client learns a name of
// ours, which works there and nowhere else, and the homeserver sees its own.
func TestConversationNamesAreSealed(t *testing.T) {
	h, r := newTalking(t)
	names := map[string]string{}
	for _, at := range talkingEndpoints {
		names[at.method+at.path] = r.challengedAt(at.method, at.path)
	}
	for _, at := range talkingEndpoints {
		for from, name := range names {
			rec := r.do(at.method, at.path, withSession(name))
			var want any
			if from == at.method+at.path || sameEndpoint(from, at.method+at.path) {
				want = homeserverName
				if got := decoded(t, rec)["session"]; got != name {
					t.Errorf("%s: the name has changed from %q to %v", from, name, got)
				}
			}
			if got := h.session(); got != want {
				t.Errorf("a name of %s at %s %s: the homeserver saw session %v, want %v", from, at.method, at.path, got, want)
			}
		}
	}
}

// sameEndpoint: the version of a path makes no other endpoint of it.
func sameEndpoint(a, b string) bool {
	strip := strings.NewReplacer("/r0/", "/", "/v3/", "/", "/unstable/", "/", "?kind=user", "", "/%5Fmatrix", "/_matrix")
	return strip.Replace(a) == strip.Replace(b)
}

// TestConversationNamesThatAreNone: whatever was not given out is no session.
func TestConversationNamesThatAreNone(t *testing.T) {
	h, r := newTalking(t)
	const path = "/_matrix/client/r0/delete_devices"
	good := r.challengedAt("POST", path)
	foreign := newRig(t, options{service: func(c *verification.Config) { c.Keys = ring(t, 'x') }})
	for name, session := range map[string]string{
		"raw": `"` + homeserverName + `"`, "invented": `"bogus"`, "empty": `""`, "null": `null`, "number": `5`, "list": `["` + good + `"]`,
		"object": `{"session":"` + good + `"}`, "cut": `"` + good[:len(good)-1] + `"`, "longer": `"` + good + `A"`, "padded": `"` + good + `="`,
		"other keys": string(`"` + foreign.svc.SealConversation(verification.Conversation{Session: homeserverName, Endpoint: "POST delete_devices"}) + `"`),
		"in clear":   `"POST delete_devices ` + homeserverName + `"`, "huge": `"` + strings.Repeat("A", 5000) + `"`,
	} {
		wantStatus(t, r.do("POST", path, `{"auth":{"type":"m.login.password","session":`+session+`}}`), http.StatusUnauthorized)
		if got := h.session(); got != nil || strings.Contains(h.raw[len(h.raw)-1], "session") {
			t.Errorf("%s: the homeserver saw %s", name, h.raw[len(h.raw)-1])
		}
		if name != "object" && name != "list" && h.bodies[len(h.bodies)-1]["auth"] == nil {
			t.Errorf("%s: the rest of auth is gone: %s", name, h.raw[len(h.raw)-1])
		}
	}
	for i := range good { // every character counts
		changed := []byte(good)
		changed[i] = map[bool]byte{true: 'B', false: 'A'}[good[i] == 'A']
		if string(changed) == good {
			continue
		}
		r.do("POST", path, withSession(string(changed)))
		if h.session() != nil {
			t.Errorf("changed at %d: the homeserver saw %v", i, h.session())
		}
	}
	// An auth of nothing but such a name is none: some homeservers refuse an empty one.
	r.do("POST", path, `{"auth":{"session":"bogus"},"x":1}`)
	if got := h.raw[len(h.raw)-1]; got != `{"x":1}` {
		t.Errorf("the homeserver saw %s", got)
	}
}

// TestConversationsEnd: a name does not live longer by being used.
func TestConversationsEnd(t *testing.T) {
	h, r := newTalking(t)
	const path = "/_matrix/client/r0/delete_devices"
	name := r.challengedAt("POST", path)
	for range 3 {
		r.clock.Advance(15 * time.Hour)
		rec := r.do("POST", path, withSession(name))
		if h.session() != homeserverName {
			t.Fatal("the conversation ended early")
		}
		name = decoded(t, rec)["session"].(string)
	}
	r.clock.Advance(3 * time.Hour)
	r.do("POST", path, withSession(name))
	if h.session() != nil {
		t.Error("the conversation did not end after 48 hours")
	}
}

// TestConversationGoesOn at another node, after a restart, and after a rotation: a
// name needs nothing but the key file.
func TestConversationGoesOn(t *testing.T) {
	const path = "/_matrix/client/v3/account/deactivate"
	_, first := newTalking(t) // its key is of zeros
	name := first.challengedAt("POST", path)
	h := &talking{}
	second := newRig(t, options{next: h.next, service: func(c *verification.Config) { c.Keys = ring(t, 'n', 0) }})
	second.do("POST", path, withSession(name))
	if h.session() != homeserverName {
		t.Errorf("the second node shows session %v", h.session())
	}
}

// TestUserAndStrangerChangePasswordsApart: the proof of an address belongs to who
// is not logged in.
func TestUserAndStrangerChangePasswordsApart(t *testing.T) {
	h, r := newTalking(t)
	const path = "/_matrix/client/r0/account/password"
	user := []string{"Authorization", "Bearer t"}
	challenge := func(header ...string) string {
		rec := r.do("POST", path, `{"new_password":"x"}`, header...)
		wantStatus(t, rec, http.StatusUnauthorized)
		return decoded(t, rec)["session"].(string)
	}
	strangers, users := challenge(), challenge(user...)
	r.do("POST", path, withSession(users), user...)
	if h.session() != homeserverName {
		t.Error("a user cannot go on")
	}
	r.do("POST", path, withSession(strangers), user...)
	if h.session() != nil {
		t.Error("a user goes on with a stranger's conversation")
	}
	for _, name := range []string{users, strangers} { // without a live proof no session is worth anything
		r.do("POST", path, withSession(name))
		if h.session() != nil {
			t.Error("a session alone resets a password")
		}
	}
	// A header that the proxy behind us takes away is no token.
	r.do("POST", path, withSession(users), append(user, "Connection", "keep-alive, Authorization")...)
	if got := h.header[len(h.header)-1].Get("Connection"); strings.Contains(strings.ToLower(got), "authorization") {
		t.Errorf("the proxy behind us is told Connection: %s", got)
	}
}

// TestConnectionKeepsWhatIsItsOwn: an upgrade is still one.
func TestConnectionKeepsWhatIsItsOwn(t *testing.T) {
	for given, want := range map[string]string{
		"": "", "close": "close", "Keep-Alive": "Keep-Alive", "Upgrade, HTTP2-Settings": "Upgrade, HTTP2-Settings",
		"x-user": "", "Keep-Alive, X-User": "keep-alive", "authorization,upgrade": "upgrade",
	} {
		req := httptest.NewRequest("POST", "/", nil)
		if given != "" {
			req.Header.Set("Connection", given)
		}
		wire.KeepHeaders(req)
		if got := req.Header.Get("Connection"); got != want {
			t.Errorf("%q: got %q, want %q", given, got, want)
		}
	}
}

// TestConversationAnswers: what an answer says is kept, whatever its form.
func TestConversationAnswers(t *testing.T) {
	h, r := newTalking(t)
	compressed := func(text string) string {
		var buf bytes.Buffer
		zw := gzip.NewWriter(&buf)
		_, _ = zw.Write([]byte(text)) // into memory
		_ = zw.Close()
		return buf.String()
	}
	challenge := fmt.Sprintf(`{"session":%q,"n":12345678901234567890,"params":{"m.login.terms":{"x":"<&>"}}}`, homeserverName)
	for name, c := range map[string]struct {
		status   int
		encoding string
		body     string
		want     int
		sealed   bool
	}{
		"plain":             {401, "", challenge, 401, true},
		"compressed":        {401, "gzip", compressed(challenge), 401, true},
		"no compression":    {401, "gzip", challenge, 502, false},
		"unknown encoding":  {401, "br", challenge, 502, false},
		"too large":         {401, "", challenge[:len(challenge)-1] + `,"p":"` + strings.Repeat("x", wire.MaxAnswer) + `"}`, 502, false},
		"a bomb":            {401, "gzip", compressed(challenge[:len(challenge)-1] + `,"p":"` + strings.Repeat("x", wire.MaxAnswer) + `"}`), 502, false},
		"another member":    {401, "", fmt.Sprintf(`{"Session":%q,"ſession":%q}`, homeserverName, homeserverName), 401, true},
		"twice":             {401, "", fmt.Sprintf(`{"session":%q,"session":%q}`, homeserverName, homeserverName), 401, true},
		"escaped":           {401, "", fmt.Sprintf(`{"\u0073ession":%q}`, homeserverName), 401, true},
		"no text":           {401, "", `{"session":5}`, 401, false},
		"no challenge":      {401, "", `{"errcode":"M_UNKNOWN_TOKEN","error":"session"}`, 401, false},
		"no JSON":           {401, "", `<html>Your session has ended`, 401, false},
		"half of it":        {401, "", challenge[:len(challenge)-9], 502, false},
		"a refusal":         {403, "", `{"errcode":"M_FORBIDDEN","session":"x"}`, 403, false},
		"an answer":         {200, "", `{"session":"x"}`, 200, false},
		"empty":             {401, "", ``, 401, false},
		"empty, compressed": {401, "gzip", ``, 401, false},
	} {
		h.answer = func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", "application/json")
			if c.encoding != "" {
				w.Header().Set("Content-Encoding", c.encoding)
			}
			w.Header().Set("Content-Length", fmt.Sprint(len(c.body)))
			w.WriteHeader(c.status)
			_, _ = w.Write([]byte(c.body)) // a recorder takes all
		}
		rec := r.do("POST", "/_matrix/client/r0/delete_devices", `{}`)
		if rec.Code != c.want || strings.Contains(rec.Body.String(), homeserverName) {
			t.Errorf("%s: got %d %.200s", name, rec.Code, rec.Body)
		}
		if got := rec.Header().Get("Content-Length"); got != fmt.Sprint(rec.Body.Len()) {
			t.Errorf("%s: got Content-Length %s for %d bytes", name, got, rec.Body.Len())
		}
		if !c.sealed && c.want == c.status && name != "no text" && rec.Body.String() != c.body {
			t.Errorf("%s: got %s, want it as it was", name, rec.Body)
		}
		if !c.sealed {
			continue
		}
		for key, value := range decoded(t, rec) {
			if opened, ok := r.svc.OpenConversation(threepid.SealedUIASession(fmt.Sprint(value)), "POST delete_devices"); strings.EqualFold(key, "session") && (!ok || opened.Session != homeserverName) {
				t.Errorf("%s: %s is no name that opens: %v", name, key, value)
			}
		}
		if strings.Contains(c.body, "params") && !strings.Contains(rec.Body.String(), `"n":12345678901234567890,"params":{"m.login.terms":{"x":"<&>"}}`) {
			t.Errorf("%s: the rest has changed: %s", name, rec.Body)
		}
	}
}

// TestConversationBodies: a body that another reader may find a session in is read
// as that reader would, or refused; what is the client's own stays as it is.
func TestConversationBodies(t *testing.T) {
	h, r := newTalking(t)
	const devices, send = "/_matrix/client/r0/delete_devices", "/_matrix/client/r0/rooms/%21a%3Ab/send/m.room.message/1"
	name := r.challengedAt("POST", devices)
	big := strings.Repeat("x", maxLook)
	for what, c := range map[string]struct {
		path, body string
		want       int // 0: passed on as it came
	}{
		"another case":          {devices, `{"Auth":{"session":"` + name + `"}}`, 400},
		"folded":                {devices, `{"auth":{"ſession":"` + name + `"}}`, 400},
		"full width":            {devices, `{"ａｕｔｈ":{"session":"` + name + `"}}`, 400},
		"twice":                 {devices, `{"auth":{},"auth":{"session":"` + name + `"}}`, 400},
		"escaped twice":         {devices, `{"auth":{},"\u0061uth":{"session":"` + name + `"}}`, 400},
		"Python's numbers":      {devices, `{"auth":{"session":"x"},"n":NaN}`, 400},
		"half a surrogate":      {devices, `{"auth":{"session":"x"},"n":"\ud800"}`, 400},
		"UTF-16":                {devices, "\xff\xfe{\x00\"\x00a\x00u\x00t\x00h\x00\"\x00", 400},
		"a mark of the order":   {devices, "\xef\xbb\xbf" + `{"auth":{"session":"x"}}`, 400},
		"too large":             {devices, `{"p":"` + big + `","auth":{"session":"x"}}`, 413},
		"too large to be one":   {devices, big + big, 0},
		"no JSON":               {devices, `auth=session`, 0},
		"says nothing of it":    {devices, `{"devices":["a"],"n":1.50 }`, 0},
		"says it elsewhere":     {devices, `{"x":"auth" , "y":{"session":"x"}}`, 0},
		"an event":              {send, `{"auth":{"session":"` + homeserverName + `"},"Auth":1, "auth":2}`, 0},
		"an event, and no JSON": {send, `{"auth":NaN`, 0},
		"hidden":                {"/_matrix/client/r0/rooms/../delete_devices", `{"auth":{"session":"x"},"auth":1}`, 400},
	} {
		seen := len(h.raw)
		rec := r.do("POST", c.path, c.body)
		switch {
		case c.want == 0 && (len(h.raw) == seen || h.raw[seen] != c.body):
			t.Errorf("%s: it was not passed on as it was: %d %.100s", what, rec.Code, rec.Body)
		case c.want != 0 && rec.Code != c.want:
			t.Errorf("%s: got %d %.100s, want %d", what, rec.Code, rec.Body, c.want)
		case c.want >= 402 || c.want == 400:
			wantError(t, rec, c.want, decoded(t, rec)["errcode"].(string))
			if len(h.raw) != seen {
				t.Errorf("%s: it was passed on: %.100s", what, h.raw[seen])
			}
		}
	}
}

// TestConversationBelongsToUnsafeMethods: the others keep their ResponseWriter and
// their headers.
func TestConversationBelongsToUnsafeMethods(t *testing.T) {
	rec := httptest.NewRecorder()
	r := newRig(t, options{next: func(w http.ResponseWriter, req *http.Request) error {
		if w != rec || req.Header.Get("Accept-Encoding") != "br" {
			t.Errorf("%s has another ResponseWriter or header", req.Method)
		}
		return nil
	}})
	for _, method := range []string{"GET", "HEAD"} {
		req := httptest.NewRequest(method, "/_matrix/client/v3/sync", nil)
		req.Header.Set("Accept-Encoding", "br")
		if err := r.client.ServeHTTP(rec, req, r.next); err != nil {
			t.Fatal(err)
		}
	}
	for given, want := range map[string]string{
		"": "", "gzip": "gzip", "gzip, deflate, br, zstd": "gzip", "br": "identity", "gzip;q=0": "identity", "br, gzip; q=0.5": "gzip", "gzip;q=0.0, br": "identity",
	} {
		req := httptest.NewRequest("PUT", "/", nil)
		if given != "" {
			req.Header.Set("Accept-Encoding", given)
		}
		if wire.LimitEncodings(req); req.Header.Get("Accept-Encoding") != want {
			t.Errorf("Accept-Encoding %q: got %q, want %q", given, req.Header.Get("Accept-Encoding"), want)
		}
	}
}

// TestFallbackPages: the page of a stage works with a sealed name, and shows none
// but that.
func TestFallbackPages(t *testing.T) {
	const path = "/_matrix/client/r0/auth/m.login.recaptcha/fallback/web"
	var asked []*http.Request
	var forms []url.Values
	r := newRig(t, options{})
	h := &talking{}
	r.next = func(w http.ResponseWriter, req *http.Request) error {
		if !strings.Contains(req.URL.Path, "/auth/") {
			return h.next(w, req)
		}
		asked = append(asked, req.Clone(req.Context()))
		name := req.FormValue("session")
		forms = append(forms, req.PostForm)
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Length", "9999")
		_, err := fmt.Fprintf(w, `<form action="?session=%s"><input type="hidden" name="session" value="%s"></form>`, url.QueryEscape(name), name)
		return err
	}
	name := r.challengedAt("POST", "/_matrix/client/r0/register")
	want := fmt.Sprintf(`<form action="?session=%s"><input type="hidden" name="session" value="%s"></form>`, name, name)
	rec := r.do("GET", path+"?session="+name, "")
	if got := rec.Body.String(); got != want || asked[0].URL.Query().Get("session") != homeserverName {
		t.Errorf("got the page %s, and the homeserver saw %s", got, asked[0].URL)
	}
	if got := rec.Header().Get("Content-Length"); got != fmt.Sprint(len(want)) {
		t.Errorf("got Content-Length %s, want %d", got, len(want))
	}
	form := []string{"Content-Type", "application/x-www-form-urlencoded"}
	rec = r.do("POST", path+"?session="+name, "session="+name+"&g-recaptcha-response=a%2Bb", form...)
	if got := rec.Body.String(); got != want {
		t.Errorf("after the form: got the page %s", got)
	}
	if got := forms[1]; got.Get("session") != homeserverName || got.Get("g-recaptcha-response") != "a+b" {
		t.Errorf("the homeserver saw the form %v", got)
	}
	// What was not given out is no name.
	for _, bad := range []string{"?session=" + homeserverName, "?session=x", "?session=", ""} {
		rec := r.do("GET", path+bad, "")
		if got := asked[len(asked)-1].URL.Query().Get("session"); got != "" || strings.Contains(rec.Body.String(), homeserverName) {
			t.Errorf("%q: the homeserver saw session %q", bad, got)
		}
	}
	r.do("POST", path, "session="+homeserverName+"&x=1", form...)
	if got := forms[len(forms)-1]; got.Get("session") != "" || got.Get("x") != "1" {
		t.Errorf("the homeserver saw the form %v", got)
	}
	count := len(asked)
	for what, send := range map[string]func() *httptest.ResponseRecorder{
		"two names":      func() *httptest.ResponseRecorder { return r.do("GET", path+"?session="+name+"&session=x", "") },
		"two readings":   func() *httptest.ResponseRecorder { return r.do("GET", path+"?session="+name+";x", "") },
		"query and form": func() *httptest.ResponseRecorder { return r.do("POST", path+"?session="+name, "session=x", form...) },
		"in parts": func() *httptest.ResponseRecorder {
			return r.do("POST", path, "--x\r\nContent-Disposition: form-data; name=\"session\"\r\n\r\nx\r\n--x--", "Content-Type", "multipart/form-data; boundary=x")
		},
	} {
		wantError(t, send(), http.StatusBadRequest, "M_INVALID_PARAM")
		if len(asked) != count {
			t.Errorf("%s: it was passed on", what)
		}
	}
}

// TestOneClickIsOneRegistration: a homeserver that refuses a registration after it
// has asked about the proof keeps the proof, and goes on with its session. So the
// proof is used up there, and whoever has that session may go on, nobody else.
func TestOneClickIsOneRegistration(t *testing.T) {
	modes(t, func(t *testing.T, opts options) {
		r := newRig(t, opts)
		sid := r.validated("register", "s", "a@x.org")
		const path = "/_matrix/client/r0/register"
		proof := func(session, more string) string {
			return fmt.Sprintf(`{%s"auth":{"type":"m.login.email.identity","session":%q,"threepid_creds":{"sid":%q,"client_secret":"s"}}}`, more, session, sid)
		}
		names := []string{r.challengedAt("POST", path), r.challengedAt("POST", path), r.challengedAt("POST", path)}
		// No password: the homeserver finds out when it has asked.
		wantStatus(t, r.do("POST", path, proof(names[0], "")), http.StatusBadRequest)
		for _, name := range names[1:] {
			if rec := r.do("POST", path, proof(name, "")); rec.Code != http.StatusUnauthorized {
				t.Errorf("a second conversation has the proof, too: %d %s", rec.Code, rec.Body)
			}
		}
		for i, name := range names[1:] {
			body := fmt.Sprintf(`{"username":"mallory%d","password":"correct horse","auth":{"session":%q}}`, i, name)
			if rec := r.do("POST", path, body); rec.Code != http.StatusUnauthorized {
				t.Errorf("another account by the same click: %d %s", rec.Code, rec.Body)
			}
		}
		// Whoever has only forgotten something goes on.
		wantStatus(t, r.do("POST", path, proof(names[0], `"username":"alice","password":"correct horse",`)), http.StatusOK)
		if got := r.hs.Emails("alice"); len(got) != 1 || got[0] != "a@x.org" {
			t.Errorf("got addresses %q, want a@x.org", got)
		}
	})
}

// TestARefusalQuotesNoName: Synapse of today names the session that it has forgotten.
func TestARefusalQuotesNoName(t *testing.T) {
	h, r := newTalking(t)
	for path, send := range map[string]func(path, name string) *httptest.ResponseRecorder{
		"/_matrix/client/v3/delete_devices": func(path, name string) *httptest.ResponseRecorder {
			return r.do("POST", path, withSession(name))
		},
		"/_matrix/client/v3/auth/m.login.terms/fallback/web": func(path, name string) *httptest.ResponseRecorder {
			return r.do("GET", path+"?session="+name, "")
		},
	} {
		h.answer = nil
		name := r.challengedAt("POST", "/_matrix/client/v3/delete_devices")
		h.answer = func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusBadRequest)
			_, _ = fmt.Fprintf(w, `{"errcode":"M_UNKNOWN","error":"Unknown session ID: %s"}`, homeserverName)
		}
		rec := send(path, name)
		wantStatus(t, rec, http.StatusBadRequest)
		if want := "Unknown session ID: " + name; decoded(t, rec)["error"] != want {
			t.Errorf("%s: got %s, want the client's own name", path, rec.Body)
		}
	}
}

// TestNoNameIsToldWithoutAStore: while the store is out of reach, the rest passes.
func TestNoNameIsToldWithoutAStore(t *testing.T) {
	challenge := fmt.Sprintf(`{"session":%q}`, homeserverName)
	for _, c := range []struct {
		method string
		status int
		body   string
		want   int
	}{
		{"POST", 401, challenge, 503},
		{"DELETE", 401, challenge[:20], 503},
		{"POST", 401, `{"errcode":"M_UNKNOWN_TOKEN","error":"no such session"}`, 401},
		{"PUT", 200, challenge, 200},
		{"GET", 401, `{"errcode":"M_UNKNOWN_TOKEN"}`, 401},
	} {
		rec, req := httptest.NewRecorder(), httptest.NewRequest(c.method, "/_matrix/client/v3/delete_devices", strings.NewReader("{}"))
		if err := PassWithoutNames(rec, req, upstream(c.status, c.body)); err != nil {
			t.Fatal(err)
		}
		if rec.Code != c.want || (c.want == c.status && rec.Body.String() != c.body) || (c.want == 503 && strings.Contains(rec.Body.String(), homeserverName)) {
			t.Errorf("%s, %d %s: got %d %s, want %d", c.method, c.status, c.body, rec.Code, rec.Body, c.want)
		}
	}
}
