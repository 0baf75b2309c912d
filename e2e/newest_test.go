// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/stack"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/synapse"
)

// late are stacks that are started when the first test asks for them: one in front
// of each Synapse, with a captcha and terms to agree to before a registration. The
// newest verifies addresses by itself, so no registration there asks for one.
var late = map[string]func() (*stack.Stack, error){
	synapse.Version: sync.OnceValues(func() (*stack.Stack, error) {
		return startLate(server, true, stack.Options{
			Terms: true, RequireEmail: true, Callback: true, Gate: "completed", NextLink: riotOrigin, MapVersions: true,
		})
	}),
	synapse.NewestVersion: sync.OnceValues(func() (*stack.Stack, error) {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
		defer cancel()
		env, err := synapse.InstallNewest(ctx, logf)
		if err != nil {
			return nil, err
		}
		return startLate(env, true, stack.Options{Terms: true})
	}),
}

// ends is what is done when all tests have ended, the last one first.
var ends struct {
	sync.Mutex
	list []func() error
}

func atTheEnd(do func() error) {
	ends.Lock()
	defer ends.Unlock()
	ends.list = append(ends.list, do)
}

func stopLate() (err error) {
	ends.Lock()
	defer ends.Unlock()
	for _, do := range slices.Backward(ends.list) {
		err = errors.Join(err, do())
	}
	return err
}

// heard is a world in which everything that the site answers is written down.
type heard struct {
	*world
	newest bool
	mu     sync.Mutex
	text   strings.Builder
}

// eachSynapse runs a test in front of each Synapse. When it has ended, no answer
// may have had a name in it that the homeserver has for a conversation.
func eachSynapse(t *testing.T, run func(t *testing.T, w *heard)) {
	t.Helper()
	needSynapse(t)
	t.Parallel()
	for version := range late {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			run(t, listen(t, version))
		})
	}
}

func listen(t *testing.T, version string) *heard {
	t.Helper()
	s, err := late[version]()
	if errors.Is(err, synapse.ErrUnavailable) && os.Getenv("CI") != "true" {
		t.Skipf("NOT PROVEN HERE: this test needs Synapse %s: %v", version, err)
	}
	if err != nil {
		t.Fatal(err)
	}
	h := &heard{newest: version == synapse.NewestVersion}
	site, err := url.Parse(s.Public)
	if err != nil {
		t.Fatal(err)
	}
	between := httptest.NewServer(&httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(site)
			r.Out.Header.Set("Accept-Encoding", "identity")
		},
		ModifyResponse: h.hear,
	})
	t.Cleanup(between.Close)
	through := *s
	through.Public = between.URL
	h.world = &world{t: t, s: &through, c: through.Client(), callback: !h.newest}
	t.Cleanup(h.wantNamesSealed)
	return h
}

// hear writes an answer down: its header and its body.
func (h *heard) hear(resp *http.Response) error {
	raw, err := httputil.DumpResponse(resp, true)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.text.Write(raw)
	return err
}

// conversations are those of the homeserver.
func (h *heard) conversations() []synapse.Conversation {
	h.t.Helper()
	list, err := h.s.Homeserver.Conversations(context.WithoutCancel(h.t.Context())) // it is over in a clean-up
	if err != nil {
		h.t.Fatal(err)
	}
	return list
}

// nameOf returns the homeserver's name for the one conversation whose request has
// some text in it, and so what the client must not learn.
func (h *heard) nameOf(text string) string {
	h.t.Helper()
	found := slices.DeleteFunc(h.conversations(), func(c synapse.Conversation) bool { return !strings.Contains(c.Request, text) })
	if len(found) != 1 {
		h.t.Fatalf("got %d conversations about %s, want one", len(found), text)
	}
	return found[0].Name
}

func (h *heard) wantNamesSealed() {
	list := h.conversations()
	h.mu.Lock()
	defer h.mu.Unlock()
	said := h.text.String()
	if len(list) == 0 || !strings.Contains(said, `"session":`) {
		h.t.Errorf("got %d conversations, and %d bytes of answers: nothing was put to the test", len(list), len(said))
	}
	for _, c := range list {
		if strings.Contains(said, c.Name) {
			h.t.Errorf("an answer tells the homeserver's name %s", c.Name)
		}
	}
}

// user makes an account past all stages, and returns an access token.
func (h *heard) user(name string) string {
	h.t.Helper()
	account, err := h.s.Homeserver.Register(h.t.Context(), name, password, false)
	if err != nil {
		h.t.Fatal(err)
	}
	return account.AccessToken
}
