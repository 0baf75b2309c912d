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
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/fakehs"
	"github.com/caddy-threepid/caddy-threepid/internal/fakeis"
	"github.com/caddy-threepid/caddy-threepid/internal/synapse"
)

var (
	sequences = flag.Int("differential.sequences", 12, "how many sequences go to each pair of homeservers")
	seedFlag  = flag.Uint64("differential.seed", 0, "the chance to begin with (0: another one each time)")
)

// TestUIAMemoryIsThatOfSynapse131 sends the same random conversations to a real
// Synapse 1.3.1 and to the double. In status, error, completed stages and in which
// session an answer belongs to they must agree: what the product is proven against
// in millions of steps forgets, mixes up and believes what the real one does.
func TestUIAMemoryIsThatOfSynapse131(t *testing.T) {
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
			seed := *seedFlag
			if seed == 0 {
				seed = uint64(time.Now().UnixNano())
			}
			for n := range *sequences {
				p.sequence(n, seed+uint64(n))
				if t.Failed() {
					return
				}
			}
			t.Logf("%d sequences, %d calls", *sequences, p.calls)
		})
	}
}

// pair is the two homeservers, which ask one identity server.
type pair struct {
	t       *testing.T
	captcha bool
	is      *fakeis.Server
	real    *synapse.Server
	urls    [2]string // the real one's first
	hs      *fakehs.Server
	calls   int
}

// newPair starts both. The identity server believes whatever the sid says: "email
// a@example.org" is a validated session for that address.
func newPair(t *testing.T, env synapse.Env, captcha bool) *pair {
	t.Helper()
	is, err := fakeis.Start(fakeis.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(is.Close)
	is.Inject(-1, nil, func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
		medium, address, ok := strings.Cut(r.URL.Query().Get("sid"), " ")
		w.Header().Set("Content-Type", "application/json")
		if !ok {
			_, _ = io.WriteString(w, `{"errcode":"M_SESSION_NOT_VALIDATED","error":"no"}`)
			return
		}
		_, _ = fmt.Fprintf(w, `{"medium":%q,"address":%q,"validated_at":1700000000000}`, medium, address)
	})
	dir := t.TempDir()
	ca := filepath.Join(dir, "ca.pem")
	if err := os.WriteFile(ca, is.CertificatePEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	opts := fakehs.Options{
		ServerName: "synapse.test", TrustedIDServers: []string{is.Name()}, ResetMode: fakehs.ResetRemote,
		RegistrationEnabled: true, HTTPClient: clientOf(is),
	}
	real := synapse.Options{
		Dir: filepath.Join(dir, "synapse"), TrustedIDServers: opts.TrustedIDServers, ResetTrust: true, CAFile: ca,
	}
	if captcha {
		opts.CaptchaResponse, real.CaptchaVerify = "solved", judge(t)
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
}

func (p *pair) sequence(n int, seed uint64) {
	p.t.Helper()
	c := &talk{pair: p, rand: rand.New(rand.NewPCG(seed, 0)), tokens: [2]map[string]string{{}, {}}}
	for _, name := range []string{"alice", "bob", "carol", "dora"} {
		c.users = append(c.users, fmt.Sprintf("%s%d", name, n))
	}
	for _, name := range c.users[:2] {
		c.account(name)
	}
	for range 20 + c.rand.IntN(40) {
		c.step()
		if p.t.Failed() {
			p.t.Logf("seed %d:\n%s", seed, strings.Join(c.said, "\n"))
			return
		}
	}
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
	method, path, user string
	query              func(side int) string
	body               func(side int) string
	form               bool
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
	if call.user != "" {
		req.Header.Set("Authorization", "Bearer "+c.tokens[side][call.user])
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

func pick[T any](c *talk, from ...T) T { return from[c.rand.IntN(len(from))] }

// step makes one call and compares.
func (c *talk) step() {
	c.t.Helper()
	call := c.next()
	got := c.both(call)
	c.calls++
	side := func(i int) string {
		body := ""
		if call.body != nil {
			body = call.body(i)
		}
		return fmt.Sprintf("%s %s as %q: %s -> %d %.300s", call.method, call.path, call.user, body, got[i].status, got[i].raw)
	}
	c.said = append(c.said, side(0), side(1))
	if want, is := told(got[0]), told(got[1]); !reflect.DeepEqual(is, want) {
		c.t.Errorf("got %v of the double, want %v", is, want)
	}
	names := [2]string{}
	for i := range got {
		names[i], _ = got[i].json["session"].(string)
	}
	if names == [2]string{} {
		return
	}
	for i, known := range c.sessions {
		if (known[0] == names[0]) != (known[1] == names[1]) {
			c.t.Errorf("one of them went on with session %d, the other did not", i)
		}
		if known == names {
			return
		}
	}
	c.sessions = append(c.sessions, names)
}

// told is what must agree. A token and the names of devices are of chance, words of
// no interest.
func told(r reply) map[string]any {
	out := map[string]any{"status": r.status}
	for _, key := range []string{"errcode", "completed", "flows", "user_id"} {
		if value, ok := r.json[key]; ok {
			out[key] = value
		}
	}
	_, out["session"] = r.json["session"]
	if r.json == nil {
		out["page"] = strings.Contains(r.raw, "<form")
	}
	return out
}

// next makes a call up: an endpoint, somebody's token, a session and a stage.
func (c *talk) next() call {
	version := pick(c, "r0", "unstable")
	base := "/_matrix/client/" + version
	if c.rand.IntN(12) == 0 {
		return c.fallback(base)
	}
	made := call{method: "POST", user: c.users[c.rand.IntN(2)]}
	var params map[string]any
	switch c.rand.IntN(10) {
	case 0, 1, 2:
		made.path, made.user = base+"/register", ""
		params = map[string]any{"username": c.users[1+c.rand.IntN(3)], "password": pick(c, "pw0", "pw1"), "inhibit_login": true}
	case 3, 4, 5:
		made.path, made.user = base+"/account/password", pick(c, "", "", made.user)
		params = map[string]any{"new_password": pick(c, "pw0", "pw1")}
	case 6:
		made.path = base + "/account/deactivate"
		params = map[string]any{"erase": false}
	case 7:
		made.method, made.path = "DELETE", base+"/devices/none"
		params = map[string]any{"x": 1}
	default:
		made.path = base + pick(c, "/delete_devices", "/delete_devices", "/delete_devicesfoo")
		params = map[string]any{"devices": []string{"none"}}
	}
	if c.rand.IntN(4) == 0 {
		params = pick(c, map[string]any{}, map[string]any{"other": true})
	}
	session, auth := c.session(), c.auth()
	made.body = func(side int) string {
		whole := maps.Clone(params)
		if auth != nil {
			with := maps.Clone(auth)
			if session != nil {
				with["session"] = session[side]
			}
			whole["auth"] = with
		}
		raw, _ := json.Marshal(whole)
		return string(raw)
	}
	return made
}

// session is the name of a session on both sides, or nil for none.
func (c *talk) session() *[2]any {
	if len(c.sessions) > 0 && c.rand.IntN(10) < 6 {
		known := c.sessions[c.rand.IntN(len(c.sessions))]
		return &[2]any{known[0], known[1]}
	}
	return pick[*[2]any](c, nil, nil, &[2]any{"bogus", "bogus"}, &[2]any{"", ""}, &[2]any{nil, nil}, &[2]any{7, 7})
}

// auth is an auth dict without its session, or nil for none.
func (c *talk) auth() map[string]any {
	user := c.users[c.rand.IntN(len(c.users))]
	creds := func(sid string) map[string]any {
		return map[string]any{"sid": sid, "client_secret": "s", "id_server": c.is.Name()}
	}
	switch stage := c.rand.IntN(16); stage {
	case 0:
		return nil
	case 1:
		return map[string]any{}
	case 2, 3, 4, 5:
		return map[string]any{"type": "m.login.email.identity", "threepid_creds": creds("email " + email(user))}
	case 6:
		return map[string]any{"type": "m.login.msisdn", "threepid_creds": creds(pick(c, "msisdn 4912345", "email "+email(user)))}
	case 7:
		with := creds(pick(c, "", "msisdn 4912345"))
		with[pick(c, "sid", "client_secret")] = pick[any](c, "", nil, 7, true, []string{}, []string{"email " + email(user)}, map[string]any{"x": 1})
		if c.rand.IntN(5) == 0 {
			delete(with, pick(c, "sid", "client_secret", "id_server"))
		}
		return map[string]any{"type": "m.login.email.identity", "threepid_creds": with}
	case 8:
		return map[string]any{"type": "m.login.email.identity", pick(c, "x", "threepidCreds"): creds("email " + email(user))}
	case 9:
		return map[string]any{"type": pick(c, "m.login.dummy", "m.login.terms", "m.login.unheard.of")}
	case 10, 11:
		if !c.captcha {
			break // the real one would ask the service of the open internet
		}
		return map[string]any{"type": "m.login.recaptcha", pick(c, "response", "response", "x"): pick(c, "solved", "solved", "no")}
	case 12, 13:
		return map[string]any{"type": "m.login.password", "user": user, "password": pick(c, "pw0", "pw1")}
	}
	return map[string]any{pick(c, "session", "x"): "bogus"} // no type: a poll, unless next puts a name in it
}

// fallback is a page of a stage, which knows a session at no endpoint at all.
func (c *talk) fallback(base string) call {
	session := pick(c, &[2]any{"bogus", "bogus"}, &[2]any{"", ""})
	if len(c.sessions) > 0 {
		known := c.sessions[c.rand.IntN(len(c.sessions))]
		session = &[2]any{known[0], known[1]}
	}
	stage := pick(c, "m.login.recaptcha", "m.login.recaptcha", "m.login.terms", "m.login.email.identity")
	values := func(side int) string { return url.Values{"session": {fmt.Sprint(session[side])}}.Encode() }
	made := call{method: "GET", path: base + "/auth/" + stage + "/fallback/web" + pick(c, "", "", "more"), query: values}
	if c.captcha && stage == "m.login.recaptcha" && c.rand.IntN(2) == 0 {
		response := pick(c, "solved", "no", "")
		made.method, made.form, made.query = "POST", true, nil
		made.body = func(side int) string { return values(side) + "&g-recaptcha-response=" + response }
	}
	return made
}
