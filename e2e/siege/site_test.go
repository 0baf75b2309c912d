// SPDX-License-Identifier: Apache-2.0

package siege

import (
	"encoding/json"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-threepid/caddy-threepid/caddymodule/guest"
	"github.com/caddy-threepid/caddy-threepid/handlers"
	"github.com/caddy-threepid/caddy-threepid/handlers/pages"
	"github.com/caddy-threepid/caddy-threepid/internal/emailpolicy"
	"github.com/caddy-threepid/caddy-threepid/internal/instance"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/fakehs"
	"github.com/caddy-threepid/caddy-threepid/internal/phone"
	"github.com/caddy-threepid/caddy-threepid/internal/sms"
	"github.com/caddy-threepid/caddy-threepid/internal/words"
)

const (
	publicURL    = "https://matrix.example.org"
	identityName = "localhost:8443"
	client       = "/_matrix/client/r0/"
	// captcha is what a person answers.
	captcha = "solved"
)

// site is the program before a homeserver that registers whoever solves a captcha and
// has an email address.
type site struct {
	t    *testing.T
	inst *instance.Instance
	face http.Handler
	hs   *fakehs.Server
	post *post
	sent atomic.Int64

	mu  sync.Mutex
	lag *rand.Rand // of the homeserver
}

func newSite(t *testing.T, seed uint64) *site {
	s := &site{t: t, post: newPost(), lag: chance(seed, "homeserver")}
	s.hs = fakehs.New(fakehs.Options{
		ServerName: "example.org", TrustedIDServers: []string{identityName}, ResetMode: fakehs.ResetRemote, RegistrationEnabled: true,
		Require3PIDEmail: true, CaptchaResponse: captcha, Now: time.Now, HTTPClient: &http.Client{Transport: wayBack{s}},
	})
	cfg := s.config()
	err := instance.WithKeyFile(cfg.KeyFile, func(string) *zap.Logger { return cfg.Logger }, func(f *instance.KeyFile) error {
		shared, err := f.Open(cfg.Store, cfg.StoreID)
		if err != nil {
			return err
		}
		t.Cleanup(func() { must(t, shared.Destruct()) })
		s.inst, err = instance.New(cfg, shared)
		return err
	})
	must(t, err)
	must(t, s.inst.Start())
	t.Cleanup(s.inst.Stop)
	s.face = s.inst.Identity(cfg.HTTP, cfg.Logger, nil)
	return s
}

// config is what a Caddyfile with a relay and a gateway says of a Synapse.
func (s *site) config() instance.Config {
	policy, err := emailpolicy.New(emailpolicy.Config{})
	must(s.t, err)
	set, err := words.New("matrix.example.org")
	must(s.t, err)
	cfg := instance.Config{
		HTTP: handlers.Config{
			PublicURL: publicURL, IdentityName: identityName, Callback: true, Audience: audience{},
			Phones: &handlers.Phones{Policy: phone.Policy{}},
		},
		Sessions: limits(), KeyFile: filepath.Join(s.t.TempDir(), "keys.json"), Homeserver: "synapse",
		Words: set, Looks: pages.LooksOf(set), EmailPolicy: policy,
		SMS:     &instance.SMS{Routes: []sms.Route{{Gateways: []string{"gateway"}}}, Fraud: shortMessages()},
		StoreID: "memory", Store: memory{}, Mailer: s.post, Gateways: map[string]guest.SMSGateway{"gateway": phones{s.post}},
		Logger: zap.NewNop(),
	}
	must(s.t, cfg.HTTP.Normalize())
	return cfg
}

// audience sees the connection, and one language.
type audience struct{}

// ClientAddr implements handlers.Audience.
func (audience) ClientAddr(r *http.Request) netip.Addr {
	peer, _ := netip.ParseAddrPort(r.RemoteAddr)
	return peer.Addr()
}

// Language implements handlers.Audience.
func (audience) Language(string) string { return "" }

// Brand implements handlers.Audience.
func (audience) Brand(string) string { return "" }

// wayBack is how the homeserver reaches our other side. It takes its time.
type wayBack struct{ s *site }

// RoundTrip implements http.RoundTripper.
func (w wayBack) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Host != identityName {
		return nil, &url.Error{Op: r.Method, URL: r.URL.Host, Err: io.ErrUnexpectedEOF}
	}
	w.s.work()
	r = r.Clone(r.Context())
	r.RemoteAddr = "127.0.0.1:40000"
	rec := httptest.NewRecorder()
	w.s.face.ServeHTTP(rec, r)
	return rec.Result(), nil
}

// work is what the homeserver takes for something.
func (s *site) work() {
	s.mu.Lock()
	lag := time.Duration(3+s.lag.IntN(20)) * time.Millisecond
	s.mu.Unlock()
	time.Sleep(lag)
}

// homeserver is what is behind the program.
func (s *site) homeserver(w http.ResponseWriter, r *http.Request) error {
	s.work()
	s.hs.ServeHTTP(w, r)
	return nil
}

// answer is what somebody is told.
type answer struct {
	status int
	body   string
	header http.Header
}

// field is a text of a JSON object.
func (a answer) field(name string) string {
	var all map[string]any
	_ = json.Unmarshal([]byte(a.body), &all) // else there is none
	text, _ := all[name].(string)
	return text
}

// wait is how long to wait before the next try, or zero.
func (a answer) wait() time.Duration {
	seconds, _ := time.ParseDuration(a.header.Get("Retry-After") + "s")
	return seconds
}

// request is what somebody sends from somewhere.
type request struct {
	from                       netip.Addr
	method, target, body, kind string
	token, agent               string
}

// jsonOf is the usual one.
func jsonOf(from netip.Addr, path string, body map[string]any) request {
	raw, _ := json.Marshal(body) // of strings and numbers
	return request{from: from, method: http.MethodPost, target: client + path, body: string(raw), kind: "application/json"}
}

func (s *site) send(r request) answer {
	req := httptest.NewRequest(r.method, r.target, strings.NewReader(r.body))
	req.RemoteAddr = netip.AddrPortFrom(r.from, 50000).String()
	req.Header.Set("Content-Type", r.kind)
	req.Header.Set("User-Agent", r.agent)
	if r.token != "" {
		req.Header.Set("Authorization", "Bearer "+r.token)
	}
	rec := httptest.NewRecorder()
	if err := s.inst.Serve(rec, req, s.homeserver); err != nil {
		s.t.Errorf("%s %s: %v", r.method, r.target, err)
	}
	if s.sent.Add(1)%1000 == 0 {
		s.hs.ResetRecordings()
	}
	return answer{rec.Code, rec.Body.String(), rec.Header()}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
