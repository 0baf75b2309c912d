// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/fakehs"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// siege is everything that a fuzzed request can be aimed at: a homeserver with
// an account, and sessions of every purpose, some confirmed and some not.
type siege struct {
	*rig
	// names are what an input may write in place of what only this run knows.
	names *strings.Replacer
	// pending are sessions whose tokens nobody knows, by sid; proven are those
	// that were confirmed, with their secrets.
	pending []string
	proven  map[string]string
	// secrets are what no answer may repeat.
	secrets []string
	// failed says that the homeserver itself has answered with a 5xx.
	failed bool
}

const siegePassword = "correct horse battery"

// siegeOptions are the switches that change how requests are read.
func siegeOptions(switches byte) options {
	return options{
		config: func(c *Config) {
			c.Callback = switches&1 != 0
			c.IdentitySubmit = switches&2 != 0
			c.NativeReset = switches&4 != 0
			if switches&8 != 0 {
				c.Proof = verification.ProofCode
			}
			if switches&16 != 0 {
				c.Phones = &Phones{Guard: &purse{}, Reset: true}
			}
			c.NextLinkOrigins = []string{"https://app.example"}
			c.MaxBody = 1 << 12
		},
		// The same input meets the same identifiers.
		service: func(c *verification.Config) { c.Random = rand.NewChaCha8([32]byte{switches}) },
		hs:      func(o *fakehs.Options) { o.PhoneReset = true },
	}
}

// lay opens and confirms the sessions.
func lay(t *testing.T, switches byte) *siege {
	t.Helper()
	s := &siege{rig: newRig(t, siegeOptions(switches)), proven: map[string]string{}}
	s.ids.Start("is.example", "1", "c", "email", "Mallory@example.org")
	s.hs.AddUser("alice", siegePassword, "alice@example.org")
	s.hs.AddUser("mallory", "mallory's", "mallory@example.org")
	token := s.login("mallory", "mallory's")
	pairs := []string{"$TOKEN", token}
	for i, p := range []threepid.Purpose{threepid.Register, threepid.Password, threepid.Add} {
		for _, confirmed := range []bool{false, true} {
			name := fmt.Sprintf("%d", i)
			address := "new" + name + "@example.org"
			if p == threepid.Password {
				address = "alice@example.org"
			}
			secret := "waiting-" + name
			if confirmed {
				secret = "confirmed-" + name
			}
			opened, err := s.svc.RequestToken(t.Context(), verification.Request{
				Purpose: p, ThreePID: threepid.ThreePID{Medium: threepid.Email, Address: address}, ClientSecret: threepid.ClientSecret(secret), SendAttempt: 1, Proof: s.client.cfg.Proof,
			})
			if err != nil {
				t.Fatal(err)
			}
			s.secrets = append(s.secrets, secret)
			letter := "W"
			if confirmed {
				letter = "C"
				s.prove(string(opened.SID), secret)
			} else {
				s.pending = append(s.pending, string(opened.SID))
			}
			pairs = append(pairs, "$"+letter+name, string(opened.SID), "$S"+letter+name, secret)
		}
	}
	s.names = strings.NewReplacer(pairs...)
	inner := s.next
	s.next = func(w http.ResponseWriter, r *http.Request) error {
		note := &noted{ResponseWriter: w}
		err := inner(note, r)
		s.failed = s.failed || note.status >= 500
		return err
	}
	s.hs.ResetRecordings()
	return s
}

func (s *siege) prove(sid, secret string) {
	s.t.Helper()
	if _, err := s.svc.Submit(s.t.Context(), verification.Submission{SID: threepid.SID(sid), Token: s.box.last(s.t).Token}); err != nil {
		s.t.Fatal(err)
	}
	s.proven[sid] = secret
}

// noted remembers a status.
type noted struct {
	http.ResponseWriter
	status int
}

func (n *noted) WriteHeader(status int) {
	n.status = status
	n.ResponseWriter.WriteHeader(status)
}

// parseRequest reads a request as net/http does; ok is false for one that never
// reaches a handler.
func parseRequest(method, target, header, body string) (r *http.Request, ok bool) {
	text := method + " " + target + " HTTP/1.1\r\nHost: matrix.example.org\r\n"
	for line := range strings.Lines(header) {
		if line = strings.TrimSpace(line); line != "" && !strings.Contains(strings.ToLower(line), "host") {
			text += line + "\r\n"
		}
	}
	if !strings.Contains(strings.ToLower(header), "transfer-encoding") {
		text += fmt.Sprintf("Content-Length: %d\r\n", len(body))
	}
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(text + "\r\n" + body)))
	if err != nil || !strings.HasPrefix(r.RequestURI, "/") {
		return nil, false
	}
	r.RemoteAddr = "203.0.113.7:4711"
	return r, true
}

// attack sends one request. Everything that the input held is returned.
func (s *siege) attack(method, target, header, body string) (rec *httptest.ResponseRecorder, input, path string) {
	method, target, header, body = s.names.Replace(method), s.names.Replace(target), s.names.Replace(header), s.names.Replace(body)
	r, ok := parseRequest(method, target, header, body)
	if !ok {
		return nil, "", ""
	}
	rec, path = httptest.NewRecorder(), r.URL.Path
	defer func() {
		// The server of net/http takes this one for a broken connection: the
		// homeserver could not read a body that was only passed on.
		switch p := recover(); p {
		case nil:
		case http.ErrAbortHandler:
			rec = nil
		default:
			panic(p)
		}
	}()
	// An error leaves the answer to Caddy; nothing of ours makes one here.
	if err := s.client.ServeHTTP(rec, r, s.next); err != nil {
		s.t.Errorf("%s %s: %v", method, target, err)
	}
	return rec, method + target + header + body, path
}

// held is what is true after any request.
func (s *siege) held(rec *httptest.ResponseRecorder, input, path string) {
	deliberate := s.failed || rec.Code == http.StatusBadGateway && len(s.ids.Made()) > 0 // an identity server that a user named is down
	if rec.Code < 200 || rec.Code > 599 || rec.Code >= 500 && !deliberate {
		s.t.Errorf("got status %d: %s", rec.Code, rec.Body)
	}
	for _, sid := range s.pending {
		a, err := s.svc.Describe(s.t.Context(), threepid.SID(sid))
		if err != nil || a.State != verification.Pending {
			s.t.Errorf("the session %s that nobody has confirmed is %v, %v", sid, a.State, err)
		}
	}
	s.usedOnlyByItsOwner(input, path)
	if !s.hs.CheckPassword("alice", siegePassword) && !s.named(input, "confirmed-1") {
		s.t.Error("alice's password was changed by somebody who has proven nothing")
	}
	for _, e := range s.hs.Emails("mallory") {
		if e != "mallory@example.org" && !s.named(input, "confirmed-2") {
			s.t.Errorf("mallory has got %s and has proven nothing", e)
		}
	}
	s.quiet(rec)
}

// named reports whether the input held a secret; an escaped one counts.
func (s *siege) named(input, secret string) bool {
	return strings.Contains(input, secret) || strings.Contains(input, `\u`) || strings.Contains(input, "%")
}

// usedOnlyByItsOwner: a session is only used up by who has its secret, and the
// homeserver is told "validated" only then.
func (s *siege) usedOnlyByItsOwner(input, path string) {
	for sid, secret := range s.proven {
		a, err := s.svc.Describe(s.t.Context(), threepid.SID(sid))
		if err != nil || a.State != verification.Validated && !s.named(input, secret) {
			s.t.Errorf("the session of %q is %v, %v, after a request without it", secret, a.State, err)
		}
	}
	for _, call := range s.hs.IDServerCalls() {
		if call.Status == http.StatusOK && strings.Contains(string(call.Answer), "validated_at") &&
			!slices.ContainsFunc(s.secrets, func(secret string) bool { return s.named(input, secret) }) {
			s.t.Errorf("%s was answered %s", call.URL, call.Answer)
		}
		s.forItsPurpose(call, path)
	}
}

// forItsPurpose: what a session proves is told on paths of its purpose only.
func (s *siege) forItsPurpose(call fakehs.IDServerCall, path string) {
	answer, path := string(call.Answer), strings.ToLower(path)
	for address, allowed := range map[string]bool{
		"new0@example.org": strings.HasSuffix(path, "/register"), "new2@example.org": strings.Contains(path, "/account/3pid"),
		// Any other endpoint may ask for an address that the account has.
		"alice@example.org": !strings.HasSuffix(path, "/register") && !strings.HasSuffix(path, "/account/3pid"),
	} {
		if strings.Contains(answer, "validated_at") && strings.Contains(answer, address) && !allowed {
			s.t.Errorf("%s: the homeserver was told %s", path, answer)
		}
	}
}

// quiet: what we write ourselves repeats no secret of a session, and neither do
// the reports of what happened. Pages hand their reader's own secret on.
func (s *siege) quiet(rec *httptest.ResponseRecorder) {
	s.events.mu.Lock()
	defer s.events.mu.Unlock()
	said := fmt.Sprintf("%+v", s.events.changes)
	for _, e := range s.events.list {
		said += fmt.Sprintf("%+v", e)
	}
	if len(s.hs.Requests()) == 0 && strings.HasPrefix(rec.Header().Get("Content-Type"), "application/json") {
		said += rec.Body.String()
	}
	for _, secret := range s.secrets {
		if strings.Contains(said, secret) {
			s.t.Errorf("%q is repeated in %s", secret, said)
		}
	}
	for _, m := range s.box.messages {
		// A message that explains why there is nothing to prove has none.
		if m.Proof == verification.ProofLink && m.Token != "" && strings.Contains(said+rec.Body.String(), string(m.Token)) {
			s.t.Error("a token is in the answer")
		}
	}
}

// siegeSeeds are requests of every kind, by method, target, headers and body.
var siegeSeeds = [][4]string{
	{"POST", "/_matrix/client/r0/register/email/requestToken", "", `{"client_secret":"s","email":"a@example.org","send_attempt":1}`},
	{"POST", "/_matrix/client/v3/account/password/email/requestToken", "", `{"client_secret":"$SW1","email":"alice@example.org","send_attempt":2}`},
	{"POST", "/_matrix/client/unstable/account/3pid/msisdn/requestToken", "", `{"client_secret":"s","country":"GB","phone_number":"07400 123456","send_attempt":1}`},
	{"POST", "/_matrix/client/r0/account/password", "", `{"new_password":"x","auth":{"type":"m.login.email.identity","threepid_creds":{"sid":"$C1","client_secret":"$SC1"}}}`},
	{"POST", "/_matrix/client/r0/account/password", "", `{"new_password":"x","auth":{"type":"m.login.email.identity","threepidCreds":{"sid":"$W1","client_secret":"$SW1"}}}`},
	{"POST", "/_matrix/client/r0/account/password", "", `{"new_password":"x","auth":{"type":"m.login.email.identity","threepid_creds":{"sid":"$C2","client_secret":"$SC2"},"session":"u"}}`},
	{"POST", "/_matrix/client/r0/account/password", "", `{"new_password":"x","auth":{"type":"m.login.email.identity","threepid_creds":{"sid":"$C0","client_secret":"$SC0"}}}`},
	{"POST", "/_matrix/client/r0/register", "", `{"username":"bob","password":"p","auth":{"type":"m.login.email.identity","threepid_creds":{"sid":"$C1","client_secret":"$SC1"}}}`},
	{"POST", "/_matrix/client/r0/register", "", `{"username":"bob","password":"p","bind_email":true,"auth":{"type":"m.login.email.identity","threepid_creds":{"sid":"$C0","client_secret":"$SC0"}}}`},
	{"POST", "/_matrix/client/r0/account/3pid", "Authorization: Bearer $TOKEN", `{"three_pid_creds":{"sid":"$C2","client_secret":"$SC2"},"bind":true}`},
	{"POST", "/_matrix/client/v3/account/3pid/add", "Authorization: Bearer $TOKEN", `{"sid":"$C2","client_secret":"$SC2","auth":{"type":"m.login.password","user":"mallory","password":"mallory's"}}`},
	{"POST", "/_matrix/client/v3/account/3pid/add?access_token=$TOKEN", "", `{"sid":"$W2","client_secret":"$SW2"}`},
	{"POST", "/_matrix/client/v3/account/3pid/bind", "Authorization: Bearer $TOKEN", `{"sid":"1","client_secret":"c","id_server":"is.example","id_access_token":"t"}`},
	{"POST", "/_matrix/client/r0/account/3pid/unbind", "Authorization: Bearer $TOKEN", `{"medium":"email","address":"mallory@example.org","id_server":"127.0.0.1:8090"}`},
	{"POST", "/_matrix/client/r0/account/3pid/delete", "Authorization: Bearer $TOKEN", `{"medium":"email","address":"mallory@example.org"}`},
	{"POST", "/_matrix/client/r0/account/deactivate", "Authorization: Bearer $TOKEN", `{"auth":{"type":"m.login.password","user":"mallory","password":"mallory's"},"id_server":""}`},
	{"GET", "/_threepid/validate/email/submitToken?sid=$W1&token=x&client_secret=$SW1", "Accept-Language: ar,de;q=0.5", ""},
	{"GET", "/_threepid/validate/email/submitToken?sid=$C1&help=1", "", ""},
	{"POST", "/_threepid/validate/email/submitToken", "Content-Type: application/x-www-form-urlencoded", "sid=$W1&token=x&nonce=1.x"},
	{"POST", "/_threepid/validate/msisdn/submitToken", "Content-Type: application/json", `{"sid":"$W0","client_secret":"$SW0","token":"000000"}`},
	{"POST", "/_matrix/identity/api/v1/validate/email/submitToken", "Content-Type: application/x-www-form-urlencoded", "sid=$W0&client_secret=$SW0&token=1"},
	{"GET", "/_threepid/refuse?sid=$W0&refusal=x", "", ""},
	{"POST", "/_threepid/refuse?sid=$W0&refusal=x", "Content-Type: multipart/form-data; boundary=b", "--b\r\nContent-Disposition: form-data; name=\"List-Unsubscribe\"\r\n\r\nOne-Click\r\n--b--\r\n"},
	{"POST", "/_threepid/refuse", "Content-Type: application/x-www-form-urlencoded", "sid=$W0&refusal=x&nonce=1.x"},
	{"GET", "/_threepid/probe?nonce=x", "", ""},
	{"GET", "/_matrix/client/versions", "Accept-Encoding: gzip", ""},
	{"OPTIONS", "/_matrix/client/r0/register", "", ""},
	{"PUT", "/_matrix/client/r0/devices/d", "Authorization: Bearer $TOKEN", `{"auth":{"type":"m.login.email.identity","threepid_creds":{"sid":"$C1","client_secret":"$SC1"}}}`},
	{"POST", "/_matrix/client/r0/createRoom", "Authorization: Bearer $TOKEN\nTransfer-Encoding: chunked", "2\r\n{}\r\n0\r\n\r\n"},
	{"POST", "/_matrix/client/r0/register", "Content-Encoding: gzip", "\x1f\x8b\x08\x00"},
	{"HEAD", "/", "", ""},
	{"POST", "/_matrix/client/api/v1/register", "", `{"type":"m.login.email.identity","threepidCreds":{"sid":"$C0","clientSecret":"$SC0"}}`},
}

// FuzzClient sends arbitrary requests to the client-facing side over a store in
// memory and a double of Synapse.
func FuzzClient(f *testing.F) {
	for i, seed := range siegeSeeds {
		f.Add(byte(i), seed[0], seed[1], seed[2], seed[3])
		f.Add(byte(0), seed[0], seed[1], seed[2], seed[3])
	}
	f.Fuzz(func(t *testing.T, switches byte, method, target, header, body string) {
		s := lay(t, switches)
		if rec, input, path := s.attack(method, target, header, body); rec != nil {
			s.held(rec, input, path)
		}
	})
}

// FuzzIdentity sends arbitrary requests to the homeserver-facing side, where a
// request for a token waits and an alias is in flight.
func FuzzIdentity(f *testing.F) {
	const v1 = "/_matrix/identity/api/v1/"
	for _, seed := range [][4]string{
		{"GET", v1 + "3pid/getValidated3pid?sid=$ALIAS&client_secret=$HIDDEN", "", ""},
		{"GET", v1 + "3pid/getValidated3pid?sid=$C1&client_secret=$SC1", "", ""},
		{"GET", v1 + "3pid/getValidated3pid?sid=$ALIAS", "", ""},
		{"POST", v1 + "validate/email/requestToken", "Content-Type: application/x-www-form-urlencoded", "client_secret=$NONCE&email=new@example.org&send_attempt=1"},
		{"POST", v1 + "validate/email/requestToken", "", `{"client_secret":"$NONCE","email":"eve@example.org","send_attempt":1}`},
		{"POST", v1 + "validate/msisdn/requestToken", "", `{"client_secret":"$NONCE","country":"GB","phone_number":"+447400123456"}`},
		{"POST", v1 + "3pid/unbind", "", "{}"},
		{"POST", "/_matrix/identity/v2/3pid/unbind", "", ""},
		{"PUT", v1 + "3pid/unbind", "", ""},
		{"GET", v1 + "3pid//getValidated3pid", "", ""},
		{"POST", v1 + "validate/email/requestToken", "", "\x00"},
	} {
		f.Add(byte(16), true, seed[0], seed[1], seed[2], seed[3])
		f.Add(byte(0), false, seed[0], seed[1], seed[2], seed[3])
	}
	f.Fuzz(func(t *testing.T, switches byte, near bool, method, target, header, body string) {
		s := lay(t, switches)
		nonce, err := s.svc.Await(t.Context(), verification.Request{
			Purpose: threepid.Register, ThreePID: threepid.ThreePID{Medium: threepid.Email, Address: "awaited@example.org"}, ClientSecret: "waiting-nonce", SendAttempt: 1,
		})
		if err != nil {
			t.Fatal(err)
		}
		sid := s.sidOf("confirmed-1")
		alias, err := s.svc.Claim(t.Context(), verification.Completion{SID: threepid.SID(sid), ClientSecret: "confirmed-1", Purpose: threepid.Password})
		if err != nil || !alias.Live {
			t.Fatalf("got alias %+v, %v", alias, err)
		}
		swap := strings.NewReplacer("$NONCE", string(nonce), "$ALIAS", string(alias.SID), "$HIDDEN", string(alias.ClientSecret))
		r, ok := parseRequest(s.names.Replace(method), swap.Replace(s.names.Replace(target)), header, swap.Replace(s.names.Replace(body)))
		if !ok {
			return
		}
		if near {
			r.RemoteAddr = "127.0.0.1:40000"
		}
		raw, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(raw))
		before, rec := s.box.count(), httptest.NewRecorder()
		s.face.ServeHTTP(rec, r)
		s.faceHeld(rec, r, near, alias, string(nonce), string(raw), s.box.count()-before)
	})
}

func (s *siege) sidOf(secret string) string {
	for sid, own := range s.proven {
		if own == secret {
			return sid
		}
	}
	return ""
}

// faceHeld is what is true after any request to the homeserver-facing side.
func (s *siege) faceHeld(rec *httptest.ResponseRecorder, r *http.Request, near bool, alias *verification.Alias, nonce, body string, sent int) {
	switch rec.Code {
	case http.StatusOK, http.StatusBadRequest, http.StatusForbidden, http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusRequestEntityTooLarge:
	default:
		s.t.Errorf("got status %d: %s", rec.Code, rec.Body)
	}
	if !near && rec.Code != http.StatusNotFound {
		s.t.Errorf("a stranger got %d: %s", rec.Code, rec.Body)
	}
	q := r.URL.Query()
	if strings.Contains(rec.Body.String(), "validated_at") && (threepid.AliasSID(q.Get("sid")) != alias.SID || threepid.AliasSecret(q.Get("client_secret")) != alias.ClientSecret || !near) {
		s.t.Errorf("%s was answered %s", r.URL, rec.Body)
	}
	if sent != 0 && (!near || sent != 1 || !strings.Contains(body, nonce) || s.box.last(s.t).Address != "awaited@example.org") {
		s.t.Errorf("%d messages were sent for %q", sent, body)
	}
	for _, secret := range append(s.secrets, nonce, string(alias.ClientSecret)) {
		if strings.Contains(rec.Body.String(), secret) {
			s.t.Errorf("%q is repeated in %s", secret, rec.Body)
		}
	}
	for _, sid := range s.pending {
		if a, err := s.svc.Describe(s.t.Context(), threepid.SID(sid)); err != nil || a.State != verification.Pending {
			s.t.Errorf("the session that nobody has confirmed is %v, %v", a.State, err)
		}
	}
}
