// SPDX-License-Identifier: Apache-2.0

package admin

import (
	"encoding/json"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
)

// posts are the paths of all endpoints that have an effect.
func posts() (paths []string) {
	for path, endpoint := range endpoints {
		if endpoint.method != http.MethodGet {
			paths = append(paths, path)
		}
	}
	slices.Sort(paths)
	return paths
}

// TestAdminPostsAreListed: the end-to-end tests let a real homeserver post to each
// path of this list.
func TestAdminPostsAreListed(t *testing.T) {
	got := strings.Join(posts(), "\n") + "\n"
	file := filepath.Join("testdata", "posts.txt")
	want, err := os.ReadFile(file)
	if err != nil || got != string(want) {
		t.Errorf("got\n%s(%v), want\n%s", got, err, want)
	}
}

// meant are the headers of a command, with some changed; nil leaves one out.
func meant(changed http.Header) http.Header {
	header := http.Header{DoorHeader: {DoorValue}, "Content-Type": {"application/json"}}
	maps.Copy(header, changed)
	maps.DeleteFunc(header, func(_ string, v []string) bool { return v == nil })
	return header
}

// TestAdminDoorKnowsPages: on a port Caddy refuses other origins before us, but not
// where the endpoint listens on all interfaces and a page has rebound its name.
func TestAdminDoorKnowsPages(t *testing.T) {
	for _, c := range []struct {
		name string
		more http.Header
		want error
	}{
		{"a command on a socket", nil, nil},
		{"a command on a port", http.Header{"Origin": {"http://localhost:2019"}}, nil},
		{"a command through TLS", http.Header{"Origin": {"https://localhost:2019"}}, nil},
		{"a page", http.Header{"Origin": {"http://evil.example"}}, errFromPage},
		{"a page on another port", http.Header{"Origin": {"http://localhost:2020"}}, errFromPage},
		{"a page of none", http.Header{"Origin": {"null"}}, errFromPage},
		{"an empty origin", http.Header{"Origin": {""}}, errFromPage},
		{"two of them", http.Header{"Origin": {"http://localhost:2019", "http://localhost:2019"}}, errFromPage},
		{"a browser", http.Header{"Sec-Fetch-Site": {"none"}}, errFromPage},
		{"a script", http.Header{DoorHeader: nil, "Origin": {"http://localhost:2019"}}, errNoHeader},
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://localhost:2019/", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		r.Header = meant(c.more)
		if got := passDoor(r); (got == nil) != (c.want == nil) || got != nil && !strings.Contains(got.Error(), c.want.Error()) {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
}

// push is what Synapse 1.3.1 posts where a pusher's URL says, in the format
// event_id_only, which has the fewest members.
const push = `{"notification":{"counts":{"unread":1},"devices":[{"app_id":"a","data":{"format":"event_id_only"},"pushkey":"k","pushkey_ts":1,"tweaks":{}}],` +
	`"event_id":"$e","room_id":"!r:example.test"}}`

// TestAdminBodiesAreFlat: what a body may have is read off its type, by its tags.
func TestAdminBodiesAreFlat(t *testing.T) {
	for _, body := range []any{Nothing{}, SessionRequest{}, AddressRequest{}, ResumeRequest{}, TestRequest{}, KeyCopy{}} {
		typ := reflect.TypeOf(body)
		for _, field := range reflect.VisibleFields(typ) {
			name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			if kind := field.Type.Kind(); name == "" || name == "-" || field.Anonymous || kind != reflect.String && kind != reflect.Bool {
				t.Errorf("%s.%s: got the name %q and the kind %s, want a name and a plain value", typ, field.Name, name, kind)
			}
		}
	}
}

// FuzzAdminBody: whatever is taken reads the same in the strictest way.
func FuzzAdminBody(f *testing.F) {
	for _, seed := range []string{`{}`, `{"sid":"a"}`, `{"sid":"a","sid":"b"}`, `{"SID":"a"}`, `{"sid":null,"pseudonym":"x"} `, `{"\u0073id":"a"}`, push, `{"ſid":"a"}`, "{\"sid\":\"\xff\"}"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		var got SessionRequest
		if readCommand(r, &got) != nil {
			return
		}
		exact := map[string]any{}
		if err := json.Unmarshal([]byte(body), &exact); err != nil {
			t.Fatalf("%q is taken, and is no object: %v", body, err)
		}
		text := func(key string) string {
			s, _ := exact[key].(string)
			delete(exact, key)
			return s
		}
		all, _ := exact["all"].(bool)
		delete(exact, "all")
		want := SessionRequest{
			SID: threepid.SID(text("sid")), Pseudonym: text("pseudonym"), Medium: threepid.Medium(text("medium")), Address: text("address"), All: all,
		}
		if got != want || len(exact) != 0 {
			t.Errorf("%q: got %+v, want %+v and nothing more, not %v", body, got, want, exact)
		}
	})
}
