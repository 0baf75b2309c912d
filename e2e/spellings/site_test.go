// SPDX-License-Identifier: Apache-2.0

package spellings

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/e2e/internal/doubles"
	"github.com/caddy-threepid/caddy-threepid/handlers"
	"github.com/caddy-threepid/caddy-threepid/internal/keyring"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
	"github.com/caddy-threepid/caddy-threepid/store/storetest"
)

// site is the module in front of a homeserver, with a store in memory.
type site struct {
	t        *testing.T
	hs       *homeserver
	svc      *verification.Service
	client   *handlers.Client
	box      *doubles.Inbox
	turn     atomic.Int64
	requests atomic.Int64 // that the homeserver got through us
}

// newSite puts the module in front of a homeserver that has no other.
func newSite(t *testing.T, hs *homeserver, callback bool) *site {
	t.Helper()
	keys, err := keyring.New(keyring.Key{ID: 1, Secret: make([]byte, keyring.SecretSize)})
	if err != nil {
		t.Fatal(err)
	}
	s := &site{t: t, hs: hs, box: new(doubles.Inbox)}
	s.svc, err = verification.NewService(verification.Config{Store: storetest.NewMemory(time.Now), Keys: keys, Outbox: s.box})
	if err != nil {
		t.Fatal(err)
	}
	cfg := handlers.Config{
		PublicURL: "https://matrix.example.org", IdentityName: hs.identity, Callback: callback, Reveal: true,
		RegistrationGate: handlers.GateOff, Pace: -1, NoNotices: true,
	}
	if err := cfg.Normalize(); err != nil {
		t.Fatal(err)
	}
	s.client = handlers.NewClient(cfg, s.svc, doubles.NoServers{}, doubles.Silent{})
	hs.face.Store(handlers.NewIdentity(cfg, s.svc, doubles.Silent{}))
	return s
}

// object is a JSON object.
type object map[string]any

// answer is what somebody got.
type answer struct {
	status int
	body   object
}

func (a answer) text(key string) string {
	s, _ := a.body[key].(string)
	return s
}

// call sends a request to us.
func (s *site) call(method, path, token string, body object) answer {
	return s.do(func(w http.ResponseWriter, r *http.Request) {
		err := s.client.ServeHTTP(w, r, func(w http.ResponseWriter, r *http.Request) error {
			s.requests.Add(1)
			s.hs.ServeHTTP(w, r)
			return nil
		})
		if err != nil {
			s.t.Errorf("%s %s: %v", method, path, err)
		}
	}, method, path, token, body)
}

// past sends a request to the homeserver, past us.
func (s *site) past(method, path, token string, body object) answer {
	return s.do(s.hs.ServeHTTP, method, path, token, body)
}

func (s *site) do(serve http.HandlerFunc, method, path, token string, body object) answer {
	raw, err := json.Marshal(body)
	if err != nil {
		s.t.Error(err)
	}
	r := httptest.NewRequest(method, "/_matrix/client/r0/"+path, strings.NewReader(string(raw)))
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	rec := httptest.NewRecorder()
	serve(rec, r)
	a := answer{status: rec.Code}
	_ = json.Unmarshal(rec.Body.Bytes(), &a.body) // what is no object has no members
	return a
}

// homeserver is one, and the only identity server that it knows: the face of whichever
// site is in front of it, or what has vouched for an address before there was one.
type homeserver struct {
	http.Handler

	name     string
	identity string
	slow     bool // not everything is tried
	newUser  func(name string) error
	face     atomic.Pointer[handlers.Identity]
	mu       sync.Mutex
	vouched  map[string]string // addresses by sid
}

const oldSID = "old."

// ServeIdentity is that identity server.
func (hs *homeserver) ServeIdentity(w http.ResponseWriter, r *http.Request) {
	sid := r.URL.Query().Get("sid")
	if !strings.HasPrefix(sid, oldSID) {
		r.RemoteAddr = "127.0.0.1:40000"
		hs.face.Load().ServeHTTP(w, r)
		return
	}
	hs.mu.Lock()
	defer hs.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(object{"medium": "email", "address": hs.vouched[sid], "validated_at": 1})
}

// vouch makes credentials for an address that nobody checks.
func (hs *homeserver) vouch(address string) object {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	sid := fmt.Sprint(oldSID, len(hs.vouched))
	hs.vouched[sid] = address
	return object{"sid": sid, "client_secret": "s", "id_server": hs.identity}
}

// submission is a click on the link of a mail.
func submission(m verification.Message) verification.Submission {
	return verification.Submission{SID: m.SID, Token: m.Token}
}
