// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/freeport"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/stack"
)

// door is a stack whose admin endpoint listens, with two ordinary users in a
// room. What one of them writes there, the homeserver posts wherever the other
// has said.
type door struct {
	*world
	admin      string
	alice, bob string // access tokens
	room       string
}

func newDoor(t *testing.T, admin string) *door {
	t.Helper()
	s, err := stack.Start(t.Context(), stack.Options{
		Dir: t.TempDir(), Caddy: parts.caddy, Synapse: &parts.synapse, MapVersions: true, Admin: admin,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	d := &door{world: &world{t: t, s: s, c: s.Client()}, admin: admin}
	d.alice, _ = d.user("alice")
	var id string
	d.bob, id = d.user("bob")
	made := d.want(d.must(d.c.Do(t.Context(), "POST", "/_matrix/client/v3/createRoom", d.alice, stack.Object{"invite": []string{id}})), http.StatusOK)
	d.room = made.Text("room_id")
	d.want(d.must(d.c.Do(t.Context(), "POST", "/_matrix/client/v3/join/"+d.room, d.bob, stack.Object{})), http.StatusOK)
	return d
}

func (d *door) user(name string) (token, id string) {
	d.t.Helper()
	account, err := d.s.Homeserver.Register(d.t.Context(), unique(name), password, false)
	if err != nil {
		d.t.Fatal(err)
	}
	return account.AccessToken, account.UserID
}

// push lets the homeserver push to all of these, by the means of two users.
func (d *door) push(urls ...string) {
	d.t.Helper()
	for i, url := range urls {
		d.want(d.must(d.c.Do(d.t.Context(), "POST", "/_matrix/client/v3/pushers/set", d.bob, stack.Object{
			"kind": "http", "app_id": "org.example.door", "pushkey": fmt.Sprint(unique("key"), i), "lang": "en", "append": true,
			"app_display_name": "Door", "device_display_name": "Door", "data": stack.Object{"url": url},
		})), http.StatusOK)
	}
	path := "/_matrix/client/v3/rooms/" + d.room + "/send/m.room.message/" + unique("txn")
	d.want(d.must(d.c.Do(d.t.Context(), "PUT", path, d.alice, stack.Object{"msgtype": "m.text", "body": "hello"})), http.StatusOK)
}

// await waits for something that the homeserver does when it gets to it.
func (d *door) await(what string, done func() bool) {
	d.t.Helper()
	for deadline := time.Now().Add(patience); !done(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			d.t.Fatalf("%s: it has not happened; Caddy's log:\n%s", what, d.s.Caddy.Logs())
		}
	}
}

// reached reports whether the homeserver's pushes to these paths have arrived at
// one of Caddy's servers, by its log.
func (d *door) reached(logger string, paths []string) bool {
	left := map[string]bool{}
	for _, p := range paths {
		left[p] = true
	}
	for line := range strings.Lines(d.s.Caddy.Logs()) {
		if !strings.Contains(line, `"logger":"`+logger) || !strings.Contains(line, "Synapse/1.3.1") {
			continue
		}
		maps.DeleteFunc(left, func(p string, _ bool) bool { return strings.Contains(line, `"uri":"`+p+`"`) })
	}
	return len(left) == 0
}

// state is what a command of ours would have changed.
func (d *door) state() string {
	d.t.Helper()
	keys, err := os.ReadFile(filepath.Join(d.s.Caddy.DataDir(), "threepid", "keys.json"))
	if err != nil {
		d.t.Fatal(err)
	}
	return fmt.Sprintf("keys with the sum %x, %d mails, %d texts", sha256.Sum256(keys), len(d.s.Inbox.Messages()), len(d.s.Phones.All()))
}

// opens proves that the door opens to the operator.
func (d *door) opens() {
	d.t.Helper()
	before := d.state()
	address, _, _ := strings.Cut(d.admin, "|")
	out, err := exec.CommandContext(d.t.Context(), parts.caddy, "threepid", "rotate-keys", "--admin", address).CombinedOutput()
	if err != nil || d.state() == before {
		d.t.Errorf("control: got %q, %v from rotate-keys, want a new key", out, err)
	}
}

// posts are all that can be posted to us, from the list that package admin keeps.
func posts(t *testing.T) (paths []string) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("..", "caddymodule", "admin", "testdata", "posts.txt"))
	if err != nil {
		t.Fatal(err)
	}
	for path := range strings.FieldsSeq(string(raw)) {
		paths = append(paths, "/threepid/"+path)
	}
	if !slices.Contains(paths, "/threepid/keys/rotate") {
		t.Fatalf("got the paths %q", paths)
	}
	return paths
}

// TestAdminDoor_APushOverTCPIsRefused: an admin endpoint on a port believes
// whoever reaches it, and a homeserver posts where its users say. None of ours
// acts on it. That Caddy's own do is why the port is not for production.
func TestAdminDoor_APushOverTCPIsRefused(t *testing.T) {
	needSynapse(t)
	t.Parallel()
	ports, err := freeport.Take(1)
	if err != nil {
		t.Fatal(err)
	}
	address := fmt.Sprintf("127.0.0.1:%d", ports[0])
	d := newDoor(t, address)
	base, paths, before := "http://"+address, posts(t), d.state()
	var urls []string
	for _, path := range paths {
		urls = append(urls, base+path)
	}
	// A client that lets line breaks into its requests would send any request.
	command := "POST /threepid/keys/rotate HTTP/1.1\r\nHost: " + address + "\r\nContent-Type: application/json\r\nSec-Threepid-Admin: 1\r\nContent-Length: 2\r\n\r\n{}"
	urls = append(urls, base+"/none HTTP/1.1\r\nHost: "+address+"\r\n\r\n"+command)
	d.push(urls...)
	d.await("pushes to all paths", func() bool { return d.reached("admin.api", paths) })
	admin := stack.NewClient(base)
	refused := 0
	for line := range strings.Lines(d.want(d.must(admin.Do(t.Context(), "GET", "/metrics", "", nil)), http.StatusOK).Body) {
		if !strings.HasPrefix(line, "caddy_admin_http_requests_total{") || !strings.Contains(line, `path="/threepid/"`) {
			continue
		}
		if !strings.Contains(line, `code="403"`) {
			t.Errorf("got %s, want every push refused with 403", line)
			continue
		}
		var n int
		if _, err := fmt.Sscan(line[strings.LastIndex(line, " ")+1:], &n); err != nil {
			t.Fatal(err)
		}
		refused += n
	}
	if refused < len(paths) {
		t.Errorf("got %d refusals, want one for each of %d paths at least", refused, len(paths))
	}
	if got := d.state(); got != before {
		t.Errorf("a push has changed something: got %s, want %s", got, before)
	}
	a := d.want(d.must(admin.Do(t.Context(), "GET", "/threepid/suppressions", "", nil)), http.StatusOK)
	if list, _ := a.JSON["suppressions"].([]any); len(list) != 0 {
		t.Errorf("got %s, want nobody suppressed", a.Body)
	}
	d.opens()
	// What the port is worth: one message of a user ends Caddy.
	d.push(base + "/stop")
	d.await("the end of Caddy", func() bool { return strings.Contains(d.s.Caddy.Logs(), "shutdown complete") })
}

// TestAdminDoor_APushFindsNothingWhereItIsASocket is the documented
// configuration: all that was reached above, and Caddy's own, is not there.
func TestAdminDoor_APushFindsNothingWhereItIsASocket(t *testing.T) {
	needSynapse(t)
	t.Parallel()
	dir, err := os.MkdirTemp("", "door-") // short, as the names of sockets must be
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	socket := filepath.Join(dir, "admin.sock")
	d := newDoor(t, "unix/"+socket+"|0600")
	if info, err := os.Stat(socket); err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("got mode %v (%v), want 0600", info.Mode(), err)
	}
	paths, before, pid := append(posts(t), "/stop", "/load", "/config/"), d.state(), d.s.Caddy.PID()
	// It listens where the endpoint would have been, and counts.
	var mu sync.Mutex
	counted := map[string]int{}
	port := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		counted[r.URL.Path]++
		mu.Unlock()
		_, _ = w.Write([]byte("{}"))
	}))
	defer port.Close()
	urls := []string{"unix/" + socket, "unix://" + socket + "/stop", "http+unix://" + strings.ReplaceAll(socket, "/", "%2F") + "/stop", "http://unix:" + socket + ":/stop"}
	for _, path := range paths {
		urls = append(urls, port.URL+path, d.s.Public+path, "https://"+d.s.Identity+path)
	}
	d.push(urls...)
	d.await("pushes to the port", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return !slices.ContainsFunc(paths, func(p string) bool { return counted[p] == 0 })
	})
	d.await("pushes to the sites", func() bool { return d.reached("http.log.access", paths) })
	if got := d.state(); got != before || d.s.Caddy.PID() != pid {
		t.Errorf("a push has changed something: got %s, want %s", got, before)
	}
	for _, sign := range []string{`"logger":"admin.api"`, "shutting down", "shutdown complete"} {
		if strings.Contains(d.s.Caddy.Logs(), sign) {
			t.Errorf("the log has %s", sign)
		}
	}
	d.want(d.must(d.c.Do(t.Context(), "GET", "/_matrix/client/versions", "", nil)), http.StatusOK)
	d.opens()
}

func needSynapse(t *testing.T) {
	t.Helper()
	if unavailable != nil {
		t.Skipf("NOT PROVEN HERE: the end-to-end tests need Synapse 1.3.1 and Sydent: %v", unavailable)
	}
}
