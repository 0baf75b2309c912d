// SPDX-License-Identifier: Apache-2.0

package caddymodule_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-threepid/caddy-threepid/caddymodule"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/fakehs"
)

// withStore is a Caddyfile with the store elsewhere.
func (s *site) withStore(dir string, more ...string) string {
	return s.caddyfile(append([]string{
		"public_url " + s.url(), "key_file " + s.path("keys.json"), "store badger {\npath " + dir + "\n}",
		"limit address off", "mailer file {\npath " + s.path("outbox") + "\n}",
	}, more...)...)
}

// without is a Caddyfile without any of our modules.
func (s *site) without() string {
	return s.global("") + fmt.Sprintf("http://127.0.0.1:%d {\n\treverse_proxy %s\n}\n", s.public, strings.TrimPrefix(s.upstream, "http://"))
}

// TestReload is the matrix of what can happen to a running server. In each
// case a session that was opened before is still there afterwards, requests
// that were under way get their answer, and counters do not go back.
func TestReload(t *testing.T) {
	tests := []struct {
		name string
		next func(s *site) string
		// refused is what the error of a rejected configuration says.
		refused string
		// away says that the session's store is not in use in between.
		away bool
	}{
		{name: "same_configuration", next: (*site).simple},
		{name: "other_options", next: func(s *site) string { return s.withStore(s.path("store"), "max_tries 3") }},
		{name: "other_spelling_of_the_directory", next: func(s *site) string {
			link := s.path("link")
			if err := os.Symlink(s.dir, link); err != nil {
				s.t.Fatal(err)
			}
			return s.withStore(link + "//store/")
		}},
		{name: "changed_directory", next: func(s *site) string { return s.withStore(s.path("other")) }, away: true},
		{name: "removed_block", next: (*site).without, away: true},
		{
			name:    "bad_provision",
			next:    func(s *site) string { return s.withStore(s.path("store"), "next_link gopher://x") },
			refused: "must begin with https:// or http://",
		},
		{
			name:    "bad_provision_of_a_guest",
			next:    func(s *site) string { return s.caddyfile(s.options("mailer smtp {\nserver x\n}")...) },
			refused: "mailer smtp",
		},
		{
			name:    "bad_provision_of_another_module",
			next:    func(s *site) string { return s.simple() + "https://127.0.0.1:1 {\ntls /nowhere /nowhere\n}\n" },
			refused: "nowhere",
		},
		{
			name: "bad_start_of_the_store",
			next: func(s *site) string {
				if err := errors.Join(os.Mkdir(s.path("torn"), 0o700), os.WriteFile(filepath.Join(s.path("torn"), "MANIFEST"), []byte("junk"), 0o600)); err != nil {
					s.t.Fatal(err)
				}
				return s.withStore(s.path("torn"))
			},
			refused: "open store",
		},
		{
			name: "bad_start_of_the_keys",
			next: func(s *site) string {
				if err := os.WriteFile(s.path("bad.json"), []byte("{}"), 0o600); err != nil {
					s.t.Fatal(err)
				}
				return strings.Replace(s.simple(), "keys.json", "bad.json", 1)
			},
			refused: "key file",
		},
		{
			name: "bad_start_of_the_mailer",
			next: func(s *site) string {
				return s.caddyfile(s.options("mailer smtp {\nserver localhost:25\nfrom a@example.org\nca_file " + s.path("none.pem") + "\n}")...)
			},
			refused: "ca_file",
		},
		{
			name:    "bad_start_of_the_server",
			next:    func(s *site) string { return s.simple() + s.taken() },
			refused: "address already in use",
		},
		{
			name: "other_keys",
			next: func(s *site) string {
				newKeyFile(s.t, s.path("other.json"))
				return strings.Replace(s.simple(), "keys.json", "other.json", 1)
			},
			refused: "restart needed",
		},
		{
			name:    "missing_keys",
			next:    func(s *site) string { return strings.Replace(s.simple(), "keys.json", "other.json", 1) },
			refused: "the key file is missing",
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			hs, upstream := homeserver(t, fakehs.Options{})
			s := newSite(t, upstream)
			s.mustLoad(s.simple())
			sid := s.open("secret", "alice@example.test")
			before := s.metric("caddy_threepid_sessions_total")
			finish := s.underway(hs)
			s.reload(test.next(s), test.refused, finish)
			if test.away {
				s.mustLoad(s.simple())
			}
			if got := s.open("secret", "alice@example.test"); got != sid {
				t.Errorf("got another session than before, %s and not %s", got, sid)
			}
			if got := s.metric("caddy_threepid_sessions_total"); got < before+1 {
				t.Errorf("the counter of sessions went from %v to %v", before, got)
			}
			// What is asked for is sent, by those who are in force now.
			s.open("another", "carol@example.test")
			s.await("her mail", func() bool {
				files, err := filepath.Glob(s.path("outbox") + "/*.eml")
				return err == nil && slices.ContainsFunc(files, func(file string) bool {
					return strings.Contains(string(read(t, file)), "carol@example.test")
				})
			})
			// And the one after that still works.
			s.mustLoad(s.simple())
			if got := s.open("secret", "alice@example.test"); got != sid {
				t.Errorf("got another session after a second reload, %s and not %s", got, sid)
			}
		})
	}
}

// reload loads a configuration, which is refused with an error or not, while
// requests are under way, and lets those finish afterwards: a configuration
// that is being removed waits for them.
func (s *site) reload(config, refused string, finish func()) {
	s.t.Helper()
	old := caddy.ActiveContext().Context
	loaded := make(chan error, 1)
	go func() { loaded <- s.load(config) }()
	if refused != "" {
		if err := <-loaded; err == nil || !strings.Contains(err.Error(), refused) {
			s.t.Fatalf("got error %v, want one with %q", err, refused)
		}
		finish()
		return
	}
	s.await("the new configuration", func() bool { return caddy.ActiveContext().Context != old || len(loaded) > 0 })
	finish()
	if err := <-loaded; err != nil {
		s.t.Fatalf("load: %v", err)
	}
}

// await waits for something to become true.
func (s *site) await(what string, done func() bool) {
	s.t.Helper()
	for deadline := time.Now().Add(patience); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			s.t.Fatalf("timed out waiting for %s", what)
		}
	}
}

// taken is a site on a port that somebody else listens on.
func (s *site) taken() string {
	port := strings.TrimPrefix(s.upstream, "http://127.0.0.1:")
	return "http://127.0.0.1:" + port + " {\nbind 127.0.0.1\nrespond ok\n}\n"
}

// answer is what became of a request in the background.
type answer struct {
	status int
	body   string
	err    error
}

// background sends a request and does not wait for its answer.
func (s *site) background(method, path string, body io.Reader) <-chan answer {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.url()+path, body)
	if err != nil {
		s.t.Fatal(err)
	}
	done := make(chan answer, 1)
	go func() {
		resp, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			done <- answer{err: err}
			return
		}
		defer resp.Body.Close()
		raw, err := io.ReadAll(resp.Body)
		done <- answer{resp.StatusCode, string(raw), err}
	}()
	return done
}

// underway begins a request of ours, whose body does not end, and one that is
// passed on, to which the homeserver does not answer. The returned function
// lets both go on and checks what comes of them.
func (s *site) underway(hs *fakehs.Server) (finish func()) {
	s.t.Helper()
	reader, writer := io.Pipe()
	ours := s.background(http.MethodPost, "/_matrix/client/r0/register/email/requestToken", reader)
	s.write(writer, `{"client_secret":"underway","email":"bob@example.test",`)
	answerIt := hs.HangNext(1)
	passed := s.background(http.MethodGet, "/_matrix/client/r0/login", nil)
	s.await("both requests", func() bool { return caddymodule.Held() > 0 && len(hs.Requests()) > 0 })
	return func() {
		s.t.Helper()
		s.write(writer, `"send_attempt":1}`)
		if err := writer.Close(); err != nil {
			s.t.Fatal(err)
		}
		if a := <-ours; a.err != nil || a.status != http.StatusOK || !strings.Contains(a.body, `"sid"`) {
			s.t.Errorf("got %d %s (%v) for our request under way, want 200 and a sid", a.status, a.body, a.err)
		}
		answerIt()
		if a := <-passed; a.err != nil || a.status != http.StatusOK || !strings.Contains(a.body, "m.login.password") {
			s.t.Errorf("got %d %s (%v) for the passed request under way, want the homeserver's answer", a.status, a.body, a.err)
		}
	}
}

func (s *site) write(w io.Writer, text string) {
	s.t.Helper()
	if _, err := io.WriteString(w, text); err != nil {
		s.t.Fatal(err)
	}
}

// TestValidateBesideARunningServer is what an operator does before a reload,
// in a process of its own.
func TestValidateBesideARunningServer(t *testing.T) {
	_, upstream := homeserver(t, fakehs.Options{})
	s := newSite(t, upstream)
	s.mustLoad(s.simple())
	sid := s.open("secret", "alice@example.test")

	file := s.path("Caddyfile")
	if err := os.WriteFile(file, []byte(s.simple()), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), childValidate+"="+file)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("validate in another process: %v\n%s", err, out)
	}
	adapted, err := adapt(s.simple())
	if err != nil {
		t.Fatal(err)
	}
	if err := validate(adapted); err != nil {
		t.Errorf("validate in this process: %v", err)
	}
	if got := s.open("secret", "alice@example.test"); got != sid {
		t.Errorf("got another session than before, %s and not %s", got, sid)
	}
	// Another process that runs the same configuration is refused, and says why.
	cmd = exec.CommandContext(t.Context(), os.Args[0])
	other := strings.NewReplacer(
		fmt.Sprintf(":%d", s.public), ":0", fmt.Sprintf(":%d", s.identity), ":0", fmt.Sprintf(":%d", s.admin), ":0",
	).Replace(s.simple())
	if err := os.WriteFile(file, []byte(other), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd.Env = append(os.Environ(), childRun+"="+file)
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "in use by another") {
		t.Errorf("got %v and\n%s\nwant a refusal of the directory that is in use", err, out)
	}
	if got := s.open("secret", "alice@example.test"); got != sid {
		t.Errorf("got another session than before, %s and not %s", got, sid)
	}
}
