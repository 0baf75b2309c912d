// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/handlers/identity"
	"github.com/caddy-threepid/caddy-threepid/handlers/internal/report"
	"github.com/caddy-threepid/caddy-threepid/handlers/internal/wire"
	web "github.com/caddy-threepid/caddy-threepid/handlers/pages"
	"github.com/caddy-threepid/caddy-threepid/internal/keyring"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/fakehs"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/idservers"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
	"github.com/caddy-threepid/caddy-threepid/store"
	"github.com/caddy-threepid/caddy-threepid/store/storetest"
)

// rig is both sides over one store in memory, in front of a homeserver that
// calls the homeserver-facing side the way Synapse does.
type rig struct {
	t      *testing.T
	clock  *storetest.Clock
	svc    *verification.Service
	keys   *keyring.Ring
	client *Client
	face   *identity.Handler
	hs     *fakehs.Server
	next   wire.Next
	box    *heldOutbox
	events *events
	ids    *idservers.Servers
}

type options struct {
	config  func(*Config)
	service func(*verification.Config)
	hs      func(*fakehs.Options)
	next    wire.Next
}

func newRig(t *testing.T, opts options) *rig {
	t.Helper()
	r := &rig{t: t, clock: storetest.NewClock(time.Unix(1_800_000_000, 0)), box: &heldOutbox{}, events: &events{}, ids: idservers.New()}
	keys, err := keyring.New(keyring.Key{ID: 1, Secret: make([]byte, keyring.SecretSize)})
	if err != nil {
		t.Fatal(err)
	}
	vc := verification.Config{Store: storetest.NewMemory(r.clock.Now), Keys: keys, Outbox: r.box, Now: r.clock.Now}
	if opts.service != nil {
		opts.service(&vc)
	}
	r.keys = vc.Keys
	if r.svc, err = verification.NewService(vc); err != nil {
		t.Fatal(err)
	}
	cfg := Config{PublicURL: "https://matrix.example.org", IdentityName: "localhost:8443"}
	cfg.RegistrationGate = GateOff // it asks the homeserver, whose requests many tests count
	if opts.config != nil {
		opts.config(&cfg)
	}
	if err := cfg.Normalize(); err != nil {
		t.Fatal(err)
	}
	r.client = NewClient(cfg, r.svc, r.ids, r.events)
	r.client.people.page.Now = r.clock.Now
	r.client.equalizer = nil // what is not about time need not take time
	r.face = NewIdentity(cfg, r.svc, r.events)
	ho := fakehs.Options{
		ServerName: "example.org", TrustedIDServers: []string{cfg.IdentityName}, ResetMode: fakehs.ResetRemote,
		RegistrationEnabled: true, HTTPClient: &http.Client{Transport: faceTransport{r}},
	}
	if opts.hs != nil {
		opts.hs(&ho)
	}
	r.hs = fakehs.New(ho)
	r.next = opts.next
	if r.next == nil {
		r.next = func(w http.ResponseWriter, req *http.Request) error {
			r.hs.ServeHTTP(w, req)
			return nil
		}
	}
	return r
}

// faceTransport is the homeserver's way to the homeserver-facing side, and to
// identity servers; any other host is out of reach.
type faceTransport struct{ r *rig }

func (f faceTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	if f.r.ids.Alive(req.URL.Host) {
		return f.r.ids.UnbindSigned(req)
	}
	if req.URL.Host != "localhost:8443" {
		return nil, &url.Error{Op: req.Method, URL: req.URL.Host, Err: io.ErrUnexpectedEOF}
	}
	req = req.Clone(req.Context())
	req.RemoteAddr = "127.0.0.1:40000"
	rec := httptest.NewRecorder()
	f.r.face.ServeHTTP(rec, req)
	return rec.Result(), nil
}

// do sends a request to the client-facing side.
func (r *rig) do(method, target, body string, header ...string) *httptest.ResponseRecorder {
	r.t.Helper()
	req := httptest.NewRequest(method, target, strings.NewReader(body))
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	return r.send(req)
}

func (r *rig) send(req *http.Request) *httptest.ResponseRecorder {
	r.t.Helper()
	rec := httptest.NewRecorder()
	var told report.Event
	*req = *req.WithContext(context.WithValue(req.Context(), toldKey{}, &told))
	if err := r.client.ServeHTTP(rec, req, r.next); err != nil {
		r.t.Fatalf("%s %s: %v", req.Method, req.URL, err)
	}
	switch told.Endpoint {
	case "", "release": // passed on
		told.Status = rec.Code
	case "confirm", "refuse", "submit": // the verdict, which the answer leads to or hides
		if told.Status >= 400 && (rec.Code == http.StatusSeeOther || rec.Code == http.StatusOK) {
			told.Status = rec.Code
		}
	}
	if told.Status != rec.Code {
		r.t.Errorf("%s %.60s was answered by %d, and is reported as %+v", req.Method, req.URL, rec.Code, told)
	}
	return rec
}

// toldKey is where a request has the Event that is reported of it.
type toldKey struct{}

// request opens a session and returns its sid.
func (r *rig) request(purpose, secret, email string) string {
	r.t.Helper()
	rec := r.do("POST", "/_matrix/client/r0/"+purpose+"/email/requestToken",
		`{"client_secret":"`+secret+`","email":"`+email+`","send_attempt":1}`)
	wantStatus(r.t, rec, http.StatusOK)
	sid, _ := decoded(r.t, rec)["sid"].(string)
	if sid == "" {
		r.t.Fatalf("no sid in %s", rec.Body)
	}
	return sid
}

// validated opens a session and confirms it by the page.
func (r *rig) validated(purpose, secret, email string) string {
	r.t.Helper()
	sid := r.request(purpose, secret, email)
	wantStatus(r.t, r.confirm(sid, r.box.last(r.t).Token), http.StatusOK)
	return sid
}

// confirm opens the link and, where the page has one, presses its button.
func (r *rig) confirm(sid, token string) *httptest.ResponseRecorder {
	r.t.Helper()
	page := r.do("GET", linkQuery("sid", sid, "token", token), "")
	form := fields(page)
	if len(form) == 0 {
		return page
	}
	form.Set("token", token)
	r.clock.Advance(web.MinRead)
	return r.post(form)
}

const linkPath = "/_threepid/validate/email/submitToken"

// login returns an access token.
func (r *rig) login(user, password string) string {
	r.t.Helper()
	rec := r.do("POST", "/_matrix/client/r0/login", `{"type":"m.login.password","user":"`+user+`","password":"`+password+`"}`)
	wantStatus(r.t, rec, http.StatusOK)
	return decoded(r.t, rec)["access_token"].(string)
}

func (r *rig) add(token, version, body string) *httptest.ResponseRecorder {
	r.t.Helper()
	return r.do("POST", "/_matrix/client/"+version+"/account/3pid", body, "Authorization", "Bearer "+token)
}

func resetBody(sid, secret string) string {
	return `{"new_password":"correct horse","auth":{"type":"m.login.email.identity","threepid_creds":{"sid":"` + sid + `","client_secret":"` + secret + `"}}}`
}

func (r *rig) reset(body string) *httptest.ResponseRecorder {
	r.t.Helper()
	return r.do("POST", "/_matrix/client/r0/account/password", body)
}

// heldOutbox keeps messages, as the delivery side would.
type heldOutbox struct {
	mu       sync.Mutex
	messages []verification.Message
	woken    int
}

func (o *heldOutbox) Put(_ store.Txn, m verification.Message) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.messages = append(o.messages, m)
	return nil
}

func (o *heldOutbox) Wake(store.Partition, string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.woken++
}

func (o *heldOutbox) count() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.messages)
}

func (o *heldOutbox) last(t *testing.T) verification.Message {
	t.Helper()
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.messages) == 0 {
		t.Fatal("no message was put into the outbox")
	}
	return o.messages[len(o.messages)-1]
}

type events struct {
	mu      sync.Mutex
	list    []report.Event
	changes []report.Change
	watch   func(report.Change) // of each change, if set
}

// onChange lets f see every change from now on.
func (e *events) onChange(f func(report.Change)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.watch = f
}

func (e *events) Request(r *http.Request, ev report.Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if told, ok := r.Context().Value(toldKey{}).(*report.Event); ok && ev.Face == "client" && ev.Endpoint != "log_out" {
		*told = ev
	}
	e.list = append(e.list, ev)
}

func (e *events) Changed(_ *http.Request, c report.Change) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.changes = append(e.changes, c)
	if e.watch != nil {
		e.watch(c)
	}
}

func decoded(t *testing.T, rec *httptest.ResponseRecorder) map[string]any {
	t.Helper()
	var v map[string]any
	if err := json.Unmarshal(rec.Body.Bytes(), &v); err != nil {
		t.Fatalf("body %q is not a JSON object: %v", rec.Body, err)
	}
	return v
}

func wantStatus(t *testing.T, rec *httptest.ResponseRecorder, want int) {
	t.Helper()
	if got := rec.Code; got != want {
		t.Fatalf("got status %d, want %d; body %s", got, want, rec.Body)
	}
}

// wantError checks a Matrix error: status, code, CORS and content type.
func wantError(t *testing.T, rec *httptest.ResponseRecorder, status int, errcode string) {
	t.Helper()
	wantStatus(t, rec, status)
	if got := decoded(t, rec)["errcode"]; got != errcode {
		t.Errorf("got errcode %v, want %s; body %s", got, errcode, rec.Body)
	}
	if text, _ := decoded(t, rec)["error"].(string); text == "" {
		t.Errorf("no error text in %s", rec.Body)
	}
	wantCORS(t, rec)
	if got := rec.Header().Get("Content-Type"); !strings.HasPrefix(got, "application/json") {
		t.Errorf("got Content-Type %q, want application/json", got)
	}
}

func wantCORS(t *testing.T, rec *httptest.ResponseRecorder) {
	t.Helper()
	for _, name := range []string{"Access-Control-Allow-Origin", "Access-Control-Allow-Methods", "Access-Control-Allow-Headers"} {
		if got := rec.Header().Values(name); len(got) != 1 {
			t.Errorf("got %s %q, want it exactly once", name, got)
		}
	}
}

var callback = options{config: func(c *Config) { c.Callback = true }}

// revealing also tells clients what the homeserver says of the owner of an
// address.
var revealing = options{config: func(c *Config) { c.Callback, c.Reveal = true, true }}

// codeOf is that of an error, or empty.
func codeOf(err error) string {
	if me, ok := errors.AsType[*wire.MatrixError](err); ok {
		return me.Errcode
	}
	return ""
}
