// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"context"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/fakehs"
)

// The names of the healthy set-up; only dial functions know where they lead.
const (
	publicName   = "matrix.example.org"
	identityName = "localhost:8443"
)

// dkimKey is the key that mail is signed with.
var dkimKey = ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)).Public().(ed25519.PublicKey)

// site is one HTTPS server and what leads to it.
type site struct {
	cert    leaf
	plain   bool
	maxTLS  uint16
	handler http.Handler
	dial    dialFunc // nil: to the server
}

func (s site) start(t *testing.T, ca *authority) dialFunc {
	if s.dial != nil {
		return s.dial
	}
	var config *tls.Config
	if !s.plain {
		config = &tls.Config{
			Certificates: []tls.Certificate{ca.issue(t, s.cert)}, MinVersion: tls.VersionTLS10, MaxVersion: s.maxTLS,
		}
	}
	return to(serveHTTP(t, config, s.handler))
}

// rig is a whole healthy set-up: a public site with this module in it, a
// homeserver like Synapse 1.3.1 behind, the site that it calls, a relay, the
// records of the domain, a store and a key file. A test breaks one thing.
type rig struct {
	t        *testing.T
	ca       *authority // of everybody
	stranger *authority

	public, identity site
	probe            http.Handler
	versions         http.Handler // nil: the homeserver's, with our flag
	password         http.Handler // nil: the homeserver's
	homeserver       fakehs.Options
	hsDial           dialFunc   // nil: to the identity site
	hsTrusts         *authority // that the homeserver knows

	relay     relayServer
	relayDial dialFunc // nil: to the relay
	zone      zone
	domain    Domain

	wiring    []WiringProblem
	outbox    OutboxStatus
	templates []TemplateProblem
	keyPath   string
	faceCalls atomic.Uint64
	socket    string
	listAge   time.Duration
	listErr   error

	// change has the last word.
	change func(*Options)
}

func newRig(t *testing.T) *rig {
	dir := t.TempDir()
	r := &rig{
		t: t, ca: newAuthority(t, "authority of everybody"), stranger: newAuthority(t, "authority of nobody"),
		public:   site{cert: good(publicName)},
		identity: site{cert: good("localhost")},
		homeserver: fakehs.Options{
			TrustedIDServers: []string{identityName}, ResetMode: fakehs.ResetRemote,
		},
		relay:  goodRelay(),
		zone:   healthyZone(),
		domain: Domain{From: "example.org", RelayHosts: []string{"mail.example.org"}, DKIM: &DKIM{"example.org", "s1", dkimKey}},
		outbox: OutboxStatus{Depth: 3, Max: 100, Oldest: time.Second, Relays: []RelayStatus{{Name: "main"}}},
	}
	r.probe = http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		jsonAnswer(200, `{"proof":"`+prove(req.URL.Query().Get("nonce"))+`"}`).ServeHTTP(w, req)
	})
	r.hsTrusts = r.ca
	r.identity.handler = http.HandlerFunc(r.face)
	r.keyPath = filepath.Join(dir, "keys.json")
	if err := os.WriteFile(r.keyPath, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "store"), 0o700); err != nil {
		t.Fatal(err)
	}
	r.socket = filepath.Join(dir, "admin.sock")
	if err := os.WriteFile(r.socket, nil, 0o600); err != nil { // only its mode matters
		t.Fatal(err)
	}
	return r
}

func healthyZone() zone {
	return zone{
		"MX example.org":                 {"mail.example.org."},
		"A mail.example.org":             {"192.0.2.25", "2001:db8::25"},
		"TXT example.org":                {"google-site-verification=x", "v=spf1 mx -all"},
		"TXT s1._domainkey.example.org":  {"v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(dkimKey)},
		"TXT _dmarc.example.org":         {"v=DMARC1; p=reject; rua=mailto:reports@example.org"},
		"TXT _spf.provider.example":      {"v=spf1 ip4:198.51.100.0/24 ~all"},
		"A smtp.provider.example":        {"203.0.113.5"},
		"A private.example.org":          {"10.0.0.25"},
		"TXT s1._domainkey.example.net":  {"v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(dkimKey)},
		"MX bounces.example.net":         {"mail.example.org."},
		"TXT bounces.example.net":        {"v=spf1 ip4:192.0.2.25 ip6:2001:db8::25 -all"},
		"TXT s1._domainkey.mailings.org": {"v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(dkimKey)},
	}
}

// prove is what only this instance can answer.
func prove(nonce string) string {
	mac := hmac.New(sha256.New, []byte("the key of this instance"))
	mac.Write([]byte(nonce))
	return hex.EncodeToString(mac.Sum(nil))
}

// face is the side towards the homeserver.
func (r *rig) face(w http.ResponseWriter, req *http.Request) {
	if req.URL.Path == "/_matrix/identity/api/v1/3pid/getValidated3pid" {
		r.faceCalls.Add(1)
		jsonAnswer(200, `{"errcode":"M_SESSION_NOT_VALIDATED","error":"not yet"}`).ServeHTTP(w, req)
		return
	}
	jsonAnswer(404, `{"errcode":"M_UNRECOGNIZED","error":"Unrecognized request"}`).ServeHTTP(w, req)
}

// client is an HTTP client whose every name leads to one place; it reads no more
// than the doctor's own.
func client(ca *authority, dial dialFunc) *http.Client {
	return &http.Client{Transport: &http.Transport{
		DialContext: dial, TLSClientConfig: &tls.Config{RootCAs: ca.pool}, DisableKeepAlives: true, MaxResponseHeaderBytes: maxAnswer,
	}}
}

// module is what answers at the public name.
func (r *rig) module(hs http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		switch {
		case req.URL.Path == ProbePath:
			r.probe.ServeHTTP(w, req)
		case req.URL.Path == "/_matrix/client/versions" && r.versions != nil:
			r.versions.ServeHTTP(w, req)
		case req.URL.Path == "/_matrix/client/versions":
			addFlag(w, req, hs)
		case req.URL.Path == "/_matrix/client/r0/account/password" && r.password != nil:
			r.password.ServeHTTP(w, req)
		default:
			hs.ServeHTTP(w, req)
		}
	})
}

func addFlag(w http.ResponseWriter, req *http.Request, hs http.Handler) {
	rec := httptest.NewRecorder()
	hs.ServeHTTP(rec, req)
	var body map[string]any
	_ = json.Unmarshal(rec.Body.Bytes(), &body) // the fake homeserver's
	body["unstable_features"] = map[string]bool{"m.require_identity_server": false}
	raw, _ := json.Marshal(body)
	jsonAnswer(200, string(raw)).ServeHTTP(w, req)
}

// options starts everything.
func (r *rig) options() Options {
	identity := r.identity.start(r.t, r.ca)
	if r.hsDial == nil {
		r.hsDial = identity
	}
	r.homeserver.HTTPClient = client(r.hsTrusts, r.hsDial)
	if r.public.handler == nil {
		r.public.handler = r.module(fakehs.New(r.homeserver))
	}
	if r.relayDial == nil {
		r.relayDial = to(r.relay.start(r.t, r.ca))
	}
	relay := relayClient{
		implicit: r.relay.implicit, config: &tls.Config{RootCAs: r.ca.pool, ServerName: "mail.example.org"}, dial: r.relayDial,
	}
	o := Options{
		Config: &Config{}, Wiring: func() []WiringProblem { return r.wiring }, Relays: []Relay{{Name: "mail.example.org:587", Check: relay.check}},
		Domains: []Domain{r.domain}, Resolver: resolver{r.t, r.zone},
		Templates: func(context.Context) []TemplateProblem { return r.templates },
		Outbox:    func(context.Context) (OutboxStatus, error) { return r.outbox, nil },
		PublicURL: "https://" + publicName, Prove: prove, Client: client(r.ca, r.public.start(r.t, r.ca)),
		Homeserver: "synapse", IdentityName: identityName, FaceCalls: r.faceCalls.Load,
		IdentityRoots: r.ca.pool, IdentityDial: identity,
		Store: &Store{
			Name: filepath.Join(filepath.Dir(r.keyPath), "store"),
			Ping: func(context.Context) error { return nil }, Free: func() (uint64, error) { return 1 << 40, nil },
		},
		KeyFile:    &KeyFile{Path: r.keyPath, StorePath: filepath.Join(filepath.Dir(r.keyPath), "store")},
		DomainList: &DomainList{Path: "/etc/disposable.txt", State: func() (time.Time, error) { return time.Now().Add(-r.listAge), r.listErr }},
		Admin:      &AdminEndpoint{Network: "unix", Address: r.socket},
		// Other tests may keep this machine busy.
		CheckTimeout: 20 * time.Second, Timeout: time.Minute,
	}
	if r.change != nil {
		r.change(&o)
	}
	return o
}

// zone is a part of the DNS: "<type> <name>" and its records. A first record
// "!" stands for a name server that fails.
type zone map[string][]string

// resolver is a Resolver over a zone.
type resolver struct {
	t    *testing.T
	zone zone
}

func (r resolver) lookup(ctx context.Context, kind, name string) ([]string, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	bare, isAbsolute := strings.CutSuffix(name, ".")
	if strings.Contains(bare, ".") && !isAbsolute {
		r.t.Errorf("%s %s is looked up with the search list of this machine", kind, name)
	}
	records := r.zone[kind+" "+bare]
	switch {
	case len(records) == 0:
		return nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
	case records[0] == "!":
		return nil, &net.DNSError{Err: "server misbehaving", Name: name, IsTemporary: true}
	}
	return records, nil
}

func (r resolver) LookupTXT(ctx context.Context, name string) ([]string, error) {
	return r.lookup(ctx, "TXT", name)
}

func (r resolver) LookupHost(ctx context.Context, name string) ([]string, error) {
	return r.lookup(ctx, "A", name)
}

func (r resolver) LookupMX(ctx context.Context, name string) ([]*net.MX, error) {
	records, err := r.lookup(ctx, "MX", name)
	list := make([]*net.MX, len(records))
	for i, host := range records {
		list[i] = &net.MX{Host: host, Pref: 10}
	}
	return list, err
}
