// SPDX-License-Identifier: Apache-2.0

package dendrite

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/dendrite"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/fakeis"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/stack"
)

// site is the one stack of all tests; they use names and addresses of their own.
var site *stack.Stack

// credulous is an identity server that Dendrite trusts and we do not: every
// session is validated there, for the address that its client_secret spells.
var credulous *fakeis.Server

// unavailable says why there is no Dendrite on this machine. Under CI=true that
// is a failure.
var unavailable error

func TestMain(m *testing.M) {
	code, err := runAll(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "end-to-end tests with Dendrite:", err)
		code = 1
	}
	os.Exit(code)
}

func logf(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }

func runAll(m *testing.M) (code int, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Minute)
	defer cancel()
	env, err := dendrite.Install(ctx, logf)
	if err != nil {
		if os.Getenv("CI") != "true" && errors.Is(err, dendrite.ErrUnavailable) {
			unavailable = err
			return m.Run(), nil
		}
		return 1, err
	}
	bin, err := stack.Build(ctx)
	if err != nil {
		return 1, err
	}
	dir, err := os.MkdirTemp("", "threepid-dendrite-")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(dir)
	if credulous, err = fakeis.Start(fakeis.Options{}); err != nil {
		return 1, err
	}
	defer credulous.Close()
	credulous.Inject(-1, nil, believe)
	ca := filepath.Join(dir, "credulous.pem")
	if err := os.WriteFile(ca, credulous.CertificatePEM(), 0o600); err != nil {
		return 1, err
	}
	site, err = stack.Start(ctx, stack.Options{
		Dir: dir, Caddy: bin, Dendrite: &env, Callback: true, Logf: logf,
		TrustedIDServers: []string{credulous.Name()}, CAFiles: []string{ca},
	})
	if err != nil {
		return 1, err
	}
	defer site.Stop()
	return m.Run(), nil
}

// believe is what the credulous server answers.
func believe(w http.ResponseWriter, r *http.Request, _ http.Handler) {
	w.Header().Set("Content-Type", "application/json")
	if strings.HasSuffix(r.URL.Path, "/getValidated3pid") {
		_, _ = fmt.Fprintf(w, `{"medium":"email","address":"%s@example.test","validated_at":1}`, r.URL.Query().Get("client_secret"))
		return
	}
	_, _ = w.Write([]byte("{}"))
}

// world is one test's view of the site.
type world struct {
	t *testing.T
	// proxied goes through us, direct around us.
	proxied, direct *stack.Client
}

func newWorld(t *testing.T) *world {
	t.Helper()
	if unavailable != nil {
		t.Skipf("NOT PROVEN HERE: the tests need Dendrite: %v", unavailable)
	}
	return &world{t, site.Client(), stack.NewClient(site.Direct)}
}

// user makes an account and returns its access token.
func (w *world) user(name string) string {
	w.t.Helper()
	account, err := site.Dendrite.Register(w.t.Context(), name, "correct horse battery", false)
	if err != nil {
		w.t.Fatalf("%v; the log ends:\n%s", err, site.Dendrite.Logs())
	}
	return account.AccessToken
}

func (w *world) must(a stack.Answer, err error) stack.Answer {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
	return a
}

func (w *world) want(a stack.Answer, status int, errcode string) {
	w.t.Helper()
	if a.Status != status || a.Text("errcode") != errcode {
		w.t.Errorf("got %d %s, want %d %s", a.Status, a.Body, status, errcode)
	}
}

// post sends a body as it is spelled.
func (w *world) post(c *stack.Client, path, token, body string) stack.Answer {
	w.t.Helper()
	return w.must(c.Do(w.t.Context(), http.MethodPost, "/_matrix/client/v3/"+path, token, raw(body)))
}

// raw is JSON that is sent byte for byte.
type raw string

func (r raw) MarshalJSON() ([]byte, error) { return []byte(r), nil }

// emails are the addresses of an account, as Dendrite has them.
func (w *world) emails(token string) string {
	w.t.Helper()
	a := w.must(w.direct.Do(w.t.Context(), http.MethodGet, "/_matrix/client/v3/account/3pid", token, nil))
	if a.Status != http.StatusOK {
		w.t.Fatalf("got %d %s", a.Status, a.Body)
	}
	var all []string
	list, _ := a.JSON["threepids"].([]any)
	for _, entry := range list {
		if e, ok := entry.(map[string]any); ok {
			all = append(all, fmt.Sprint(e["address"]))
		}
	}
	return strings.Join(all, " ")
}

// add gives an account an address, the whole way through us.
func (w *world) add(token, email string) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
	defer cancel()
	a := w.must(w.proxied.RequestToken(ctx, "v3", "account/3pid", "secret", email))
	if a.Status != http.StatusOK {
		w.t.Fatalf("requestToken: got %d %s; Caddy's log:\n%s", a.Status, a.Body, site.Caddy.Logs())
	}
	m, err := site.Inbox.WaitFor(ctx, email)
	if err != nil {
		w.t.Fatalf("no mail arrived: %v", err)
	}
	link, ok := m.Link()
	if !ok {
		w.t.Fatal("the mail has no link")
	}
	if _, done, err := w.proxied.ClickSlowly(ctx, link, 1100*time.Millisecond); err != nil || done.Status != http.StatusOK {
		w.t.Fatalf("press the button: got %d %s, %v", done.Status, done.Body, err)
	}
	w.want(w.post(w.proxied, "account/3pid", token, `{"three_pid_creds":{"sid":"`+a.Text("sid")+`","client_secret":"secret"}}`), http.StatusOK, "")
}
