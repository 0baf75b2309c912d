// SPDX-License-Identifier: Apache-2.0

package caddymodule_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/caddymodule"
	"github.com/caddy-threepid/caddy-threepid/caddymodule/admin"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/fakehs"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/stack"
	"github.com/caddy-threepid/caddy-threepid/store"
)

// operator is a client of the admin endpoint that means us.
func (s *site) operator() *stack.Client {
	c := stack.NewClient(fmt.Sprintf("http://127.0.0.1:%d", s.admin))
	c.Header = http.Header{admin.DoorHeader: {admin.DoorValue}}
	return c
}

// posts are the paths of all endpoints that have an effect, from the list that package
// admin keeps.
func posts(t *testing.T) []string {
	t.Helper()
	return strings.Fields(string(read(t, filepath.Join("admin", "testdata", "posts.txt"))))
}

// mailed opens a session and returns its sid when the mail is sent and that is
// written down: nothing changes by itself any more.
func (s *site) mailed(secret, email string) (sid string) {
	s.t.Helper()
	before := s.metric("caddy_threepid_messages_total") // of the whole process
	sid = s.open(secret, email)
	s.await("the mail", func() bool { return s.metric("caddy_threepid_messages_total") > before })
	return sid
}

// knock posts to one of our endpoints and returns the status.
func (s *site) knock(path string, header http.Header, body string) int {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, fmt.Sprintf("http://127.0.0.1:%d", s.admin)+admin.Base+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header = header
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		s.t.Fatal(err)
	}
	return resp.StatusCode
}

// meant are the headers of a command, with some changed; nil leaves one out.
func meant(changed http.Header) http.Header {
	header := http.Header{admin.DoorHeader: {admin.DoorValue}, "Content-Type": {"application/json"}}
	maps.Copy(header, changed)
	maps.DeleteFunc(header, func(_ string, v []string) bool { return v == nil })
	return header
}

// state sums up everything that a command could change: the files of the site,
// but for those of the store, of which it is the entries, and for the logs.
func (s *site) state() string {
	s.t.Helper()
	app, err := caddymodule.Running()
	if err != nil {
		s.t.Fatal(err)
	}
	inst, err := app.Open()
	if err != nil {
		s.t.Fatal(err)
	}
	defer inst.Store.Hold()()
	var backup bytes.Buffer
	if err := inst.Store.Store.(store.Backuper).WriteBackup(s.t.Context(), &backup); err != nil {
		s.t.Fatal(err)
	}
	// It begins with a line and eight bytes of the time, any of which may be any
	// character, and ends with a sum over those.
	_, entries, found := bytes.Cut(backup.Bytes(), []byte("\n"))
	if !found || len(entries) < 8+sha256.Size {
		s.t.Fatalf("got %q, want a backup", backup.Bytes())
	}
	sum := sha256.New()
	sum.Write(entries[8 : len(entries)-sha256.Size])
	err = filepath.WalkDir(s.dir, func(path string, d fs.DirEntry, err error) error {
		if d.IsDir() && d.Name() == "store" {
			return fs.SkipDir
		}
		if err != nil || d.IsDir() || strings.HasSuffix(path, ".log") {
			return err
		}
		raw, err := os.ReadFile(path)
		_, _ = fmt.Fprintf(sum, "%s %q", path, raw)
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return fmt.Sprintf("%x", sum.Sum(nil))
}

// goodBodies are what the endpoints act on. One that is not here has a body
// without parameters, or is tried with an empty one of its kind.
func (s *site) goodBodies(sid string) map[string]string {
	const alice = `{"medium":"email","address":"alice@example.test"}`
	return map[string]string{
		"send-test": `{"to":"somebody@example.test"}`, "sms/resume": `{"prefix":"","all":true}`,
		"sessions/find": `{"sid":"` + sid + `"}`, "sessions/resend": `{"sid":"` + sid + `"}`, "sessions/revoke": `{"sid":"` + sid + `"}`,
		"addresses/find": alice, "addresses/forget": alice, "suppressions/add": alice, "suppressions/remove": `{"medium":"email","address":"bob@example.test"}`,
	}
}

// push is what Synapse 1.3.1 posts where a pusher's URL says, in the format
// event_id_only, which has the fewest members.
const push = `{"notification":{"counts":{"unread":1},"devices":[{"app_id":"a","data":{"format":"event_id_only"},"pushkey":"k","pushkey_ts":1,"tweaks":{}}],` +
	`"event_id":"$e","room_id":"!r:example.test"}}`

// TestAdminDoorIsClosed: whatever can be sent to an endpoint by who cannot set its
// header, and whatever is not the one body that it should be, changes nothing. It
// goes over all endpoints that there are.
func TestAdminDoorIsClosed(t *testing.T) {
	_, upstream := homeserver(t, fakehs.Options{})
	s := newSite(t, upstream)
	s.mustLoad(s.simple())
	sid := s.mailed("secret", "alice@example.test")
	s.admins("POST", "suppressions/add", stack.Object{"medium": "email", "address": "bob@example.test"}, http.StatusOK)
	const form = "application/x-www-form-urlencoded"
	bodies := s.goodBodies(sid)
	before := s.state()
	for _, path := range posts(t) {
		good := bodies[path]
		if good == "" {
			good = "{}"
		}
		first, _, _ := strings.Cut(strings.TrimPrefix(good, "{"), ",")
		first = strings.TrimSuffix(first, "}") // a member, or nothing
		open := strings.TrimSuffix(good, "}")
		if first != "" {
			open += ","
		}
		own := fmt.Sprintf("http://127.0.0.1:%d", s.admin)
		for _, c := range []struct {
			name   string
			header http.Header
			body   string
			want   int
		}{
			{"no header", meant(http.Header{admin.DoorHeader: nil}), good, http.StatusForbidden},
			{"an empty header", meant(http.Header{admin.DoorHeader: {""}}), good, http.StatusForbidden},
			{"another value", meant(http.Header{admin.DoorHeader: {"true"}}), good, http.StatusForbidden},
			{"the header twice", meant(http.Header{admin.DoorHeader: {"1", "1"}}), good, http.StatusForbidden},
			{"a homeserver's push", http.Header{"Content-Type": {"application/json"}, "User-Agent": {"Synapse/1.3.1"}}, push, http.StatusForbidden},
			{"a form", http.Header{"Content-Type": {form}}, "a=b", http.StatusForbidden},
			{"a form of text", http.Header{"Content-Type": {"text/plain"}}, good, http.StatusForbidden},
			{"a beacon without a type", http.Header{}, good, http.StatusForbidden},
			{"a page of the same origin", meant(http.Header{admin.DoorHeader: nil, "Origin": {own}}), good, http.StatusForbidden},

			{"a page elsewhere", meant(http.Header{"Origin": {"https://evil.example"}}), good, http.StatusForbidden},
			{"an origin that is null", meant(http.Header{"Origin": {"null"}}), good, http.StatusBadRequest}, // by Caddy
			{"two origins", meant(http.Header{"Origin": {own, "https://evil.example"}}), good, http.StatusForbidden},
			{"a cross-site fetch", meant(http.Header{"Sec-Fetch-Site": {"cross-site"}}), good, http.StatusForbidden},
			{"a same-origin fetch", meant(http.Header{"Sec-Fetch-Site": {"same-origin"}}), good, http.StatusForbidden},

			{"the type of a form", meant(http.Header{"Content-Type": {form}}), good, http.StatusUnsupportedMediaType},
			{"the type of text", meant(http.Header{"Content-Type": {"text/plain"}}), good, http.StatusUnsupportedMediaType},
			{"no type", meant(http.Header{"Content-Type": nil}), good, http.StatusUnsupportedMediaType},
			{"a type with a parameter", meant(http.Header{"Content-Type": {"application/json; charset=utf-8"}}), good, http.StatusUnsupportedMediaType},
			{"two types", meant(http.Header{"Content-Type": {"application/json", form}}), good, http.StatusUnsupportedMediaType},

			{"a push with the header", meant(nil), push, http.StatusBadRequest},
			{"no body", meant(nil), "", http.StatusBadRequest},
			{"null", meant(nil), "null", http.StatusBadRequest},
			{"an array", meant(nil), "[" + good + "]", http.StatusBadRequest},
			{"text", meant(nil), `"` + path + `"`, http.StatusBadRequest},
			{"half of it", meant(nil), open, http.StatusBadRequest},
			{"junk behind it", meant(nil), good + "x", http.StatusBadRequest},
			{"another behind it", meant(nil), good + "{}", http.StatusBadRequest},
			{"an unknown member", meant(nil), open + `"more":1}`, http.StatusBadRequest},
			{"a member without a name", meant(nil), open + `"":1}`, http.StatusBadRequest},
			{"a member twice", meant(nil), open + first + "}", http.StatusBadRequest},
			{"a member twice, escaped", meant(nil), open + strings.Replace(first, "d", `\u0064`, 1) + "}", http.StatusBadRequest},
			{"another case", meant(nil), strings.ToUpper(good[:min(3, len(good))]) + good[min(3, len(good)):], http.StatusBadRequest},
			{"not UTF-8", meant(nil), open + "\"\xff\":1}", http.StatusBadRequest},
			{"too large", meant(nil), good + strings.Repeat(" ", 64<<10), http.StatusRequestEntityTooLarge},
		} {
			if first == "" && (c.name == "another case" || strings.HasPrefix(c.name, "a member twice")) {
				continue // there are no members
			}
			if got := s.knock(path, c.header, c.body); got != c.want {
				t.Errorf("%s: %s: got %d, want %d", path, c.name, got, c.want)
			}
		}
		if s.state() != before {
			t.Fatalf("%s: something was changed", path)
		}
	}
}

// TestAdminDoorOpens: the same bodies, from who means us, do what they say. So the
// test above looks where it would show.
func TestAdminDoorOpens(t *testing.T) {
	_, upstream := homeserver(t, fakehs.Options{})
	s := newSite(t, upstream)
	s.mustLoad(s.simple())
	sid := s.mailed("secret", "alice@example.test")
	s.admins("POST", "suppressions/add", stack.Object{"medium": "email", "address": "bob@example.test"}, http.StatusOK)
	bodies := s.goodBodies(sid)
	own := meant(http.Header{"Origin": {fmt.Sprintf("http://127.0.0.1:%d", s.admin)}}) // as Caddy's own client on a port
	for _, c := range []struct {
		path    string
		want    int
		changes bool
	}{
		{"doctor", http.StatusOK, false},
		{"keys/prune", http.StatusOK, false},
		{"store/backup", http.StatusOK, false},
		{"sessions/find", http.StatusOK, false},
		{"addresses/find", http.StatusOK, false},
		{"sms/resume", http.StatusBadRequest, false}, // there are no phones
		{"keys/rotate", http.StatusOK, true},
		{"send-test", http.StatusOK, true},
		{"suppressions/remove", http.StatusOK, true},
		{"suppressions/add", http.StatusOK, true},
		{"sessions/revoke", http.StatusOK, true},
		{"sessions/resend", http.StatusConflict, false},
		{"addresses/forget", http.StatusOK, true},
	} {
		body := bodies[c.path]
		if body == "" {
			body = "{}"
		}
		before := s.state()
		if got := s.knock(c.path, own, body); got != c.want || (s.state() != before) != c.changes {
			t.Errorf("%s: got %d, and a change: %t, want %d and %t", c.path, got, s.state() != before, c.want, c.changes)
		}
	}
}
