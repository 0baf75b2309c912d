// SPDX-License-Identifier: Apache-2.0

package fakehs_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/fakehs"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/fakeis"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/synapse"
)

var (
	sequences = flag.Int("differential.sequences", 12, "how many sequences go to each pair of homeservers")
	seedFlag  = flag.Uint64("differential.seed", 0, "the chance to begin with (0: another one each time)")
)

// TestTheDoubleIsSynapse131 sends the same calls to a real Synapse 1.3.1 and to the
// double. What the product is proven against in millions of steps is to answer, keep,
// forget, mix up and believe what the real one does, and nothing that it does not.
func TestTheDoubleIsSynapse131(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Minute)
	t.Cleanup(cancel)
	env, err := synapse.Install(ctx, log.Printf)
	switch {
	case errors.Is(err, synapse.ErrUnavailable) && os.Getenv("CI") != "true":
		t.Skipf("NOT COMPARED WITH A REAL SYNAPSE: %v", err)
	case err != nil:
		t.Fatal(err)
	}
	for _, captcha := range []bool{false, true} {
		t.Run(fmt.Sprintf("captcha %t", captcha), func(t *testing.T) {
			t.Parallel()
			p := newPair(t, env, captcha)
			if captcha {
				t.Run("calls", func(t *testing.T) { p.in(t).callByCall(guarded) })
			} else {
				t.Run("calls", func(t *testing.T) { p.in(t).callByCall(table) })
				t.Run("places", func(t *testing.T) { p.in(t).places() })
				t.Run("mangled", func(t *testing.T) { p.in(t).mangled() })
			}
			t.Run("memory", func(t *testing.T) { p.in(t).memory() })
		})
	}
}

// pair is the two homeservers, which ask one identity server. With a captcha, only
// addresses at example.org are allowed, and no numbers.
type pair struct {
	t       *testing.T
	captcha bool
	is      *fakeis.Server
	real    *synapse.Server
	urls    [2]string // the real one's first
	hs      *fakehs.Server
	calls   int
}

// newPair starts both.
func newPair(t *testing.T, env synapse.Env, captcha bool) *pair {
	t.Helper()
	is, err := fakeis.Start(fakeis.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(is.Close)
	is.Inject(-1, nil, believing)
	dir := t.TempDir()
	ca := filepath.Join(dir, "ca.pem")
	if err := os.WriteFile(ca, is.CertificatePEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	opts := fakehs.Options{
		ServerName: "synapse.test", TrustedIDServers: []string{is.Name(), is.Name() + "/404"}, ResetMode: fakehs.ResetRemote,
		RegistrationEnabled: true, HTTPClient: clientOf(is),
	}
	real := synapse.Options{
		Dir: filepath.Join(dir, "synapse"), TrustedIDServers: opts.TrustedIDServers, ResetTrust: true, CAFile: ca,
	}
	if captcha {
		opts.CaptchaResponse, real.CaptchaVerify = "solved", judge(t)
		opts.AllowedLocal3PIDs = []string{`[^@]*@example\.org`}
		real.AllowedLocal3PIDs = []synapse.LocalPattern{{Medium: "email", Pattern: opts.AllowedLocal3PIDs[0]}}
	}
	p := &pair{t: t, captcha: captcha, is: is, hs: fakehs.New(opts)}
	if p.real, err = synapse.Start(t.Context(), env, real); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.real.Stop)
	double := httptest.NewServer(p.hs)
	t.Cleanup(double.Close)
	p.urls = [2]string{p.real.URL(), double.URL}
	return p
}

// in is the pair for a part of the test.
func (p *pair) in(t *testing.T) *pair {
	part := *p
	part.t = t
	return &part
}

// believing is an identity server that believes what the sid says: "email a@example.org"
// is a validated session for that address, and "{}" is the answer. At its path /404/ it
// answers 404.
func believing(w http.ResponseWriter, r *http.Request, _ http.Handler) {
	var body struct{ SID string }
	_ = json.NewDecoder(r.Body).Decode(&body) // a GET has none
	sid := r.URL.Query().Get("sid") + body.SID
	w.Header().Set("Content-Type", "application/json")
	one, two, ok := strings.Cut(sid, " ")
	status, err := strconv.Atoi(strings.Split(r.URL.Path, "/")[1])
	switch {
	case err == nil:
		w.WriteHeader(status)
		_, _ = io.WriteString(w, `{"errcode":"M_X","error":"no","extra":1}`)
	case strings.HasSuffix(r.URL.Path, "/requestToken"):
		_, _ = io.WriteString(w, `{"sid":"1"}`)
	case strings.HasPrefix(sid, "{"):
		_, _ = io.WriteString(w, sid)
	case ok:
		_, _ = fmt.Fprintf(w, `{"medium":%q,"address":%q,"validated_at":1700000000000}`, one, two)
	default:
		_, _ = io.WriteString(w, `{"errcode":"M_SESSION_NOT_VALIDATED","error":"no"}`)
	}
}

func clientOf(is *fakeis.Server) *http.Client {
	return &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: is.Pool(), MinVersion: tls.VersionTLS12}}}
}

// judge stands for the service that Synapse asks about captchas.
func judge(t *testing.T) string {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprintf(w, `{"success":%t}`, r.PostFormValue("response") == "solved")
	}))
	t.Cleanup(srv.Close)
	return srv.URL
}

// talk is one sequence: what both sides know each thing by.
type talk struct {
	*pair
	rand     *rand.Rand
	users    []string             // localparts, the first two with an account
	tokens   [2]map[string]string // by localpart
	sessions [][2]string          // in order of their first appearance
	said     []string             // for the report
	known    [2]map[string]string // of the table: what was told last, by member
}

func email(user string) string { return user + "@example.org" }

// account makes a user with an address on both sides.
func (c *talk) account(name string) {
	c.t.Helper()
	made, err := c.real.Register(c.t.Context(), name, "pw0", false)
	if err != nil {
		c.t.Fatal(err)
	}
	c.hs.AddUser(name, "pw0")
	c.tokens[0][name] = made.AccessToken
	login := fmt.Sprintf(`{"type":"m.login.password","user":%q,"password":"pw0"}`, name)
	got := c.send(1, call{method: "POST", path: r0 + "/login", body: func(int) string { return login }})
	c.tokens[1][name], _ = got.json["access_token"].(string)
	both := c.both(call{method: "POST", path: r0 + "/account/3pid", user: name, body: func(int) string {
		return `{"three_pid_creds":` + c.creds("email "+email(name)) + `}`
	}})
	if both[0].status != 200 || both[1].status != 200 {
		c.t.Fatalf("got %d and %d, want the address stored", both[0].status, both[1].status)
	}
}

func (c *talk) creds(sid string) string {
	return fmt.Sprintf(`{"sid":%q,"client_secret":"s","id_server":%q}`, sid, c.is.Name())
}

// call is one request; what names a session differs from side to side.
type call struct {
	method, path string
	user         string // whose token is sent, or else what is sent in place of one
	query        func(side int) string
	body         func(side int) string
	form         bool
}

func (c *talk) both(call call) [2]reply {
	return [2]reply{c.send(0, call), c.send(1, call)}
}

func (c *talk) send(side int, call call) reply {
	c.t.Helper()
	target := c.urls[side] + call.path
	if call.query != nil {
		target += "?" + call.query(side)
	}
	var body io.Reader
	if call.body != nil {
		body = strings.NewReader(call.body(side))
	}
	req, err := http.NewRequestWithContext(c.t.Context(), call.method, target, body)
	if err != nil {
		c.t.Fatal(err)
	}
	if token, ok := c.tokens[side][call.user]; ok {
		req.Header.Set("Authorization", "Bearer "+token)
	} else if call.user != "" {
		req.Header.Set("Authorization", call.user)
	}
	if call.form {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	out := reply{resp.StatusCode, resp.Header, string(raw), nil}
	_ = json.Unmarshal(raw, &out.json)
	return out
}
