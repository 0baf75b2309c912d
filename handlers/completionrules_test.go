// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-threepid/caddy-threepid/handlers/internal/route"
	"github.com/caddy-threepid/caddy-threepid/handlers/internal/wire"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/fakehs"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
	"github.com/caddy-threepid/caddy-threepid/store"
)

// TestA401ThatIsNoRoundUsesNothingUp: what somebody in between says is no word of the
// homeserver's about a stage.
func TestA401ThatIsNoRoundUsesNothingUp(t *testing.T) {
	for name, answer := range map[string]wire.Next{
		"a page":           upstream(401, "<html>", "Content-Type", "text/html"),
		"nothing":          upstream(401, ""),
		"half":             upstream(401, `{"completed":["m.login.email.identity"],"se`),
		"another form":     upstream(401, `{"completed":["m.login.email.identity",5]}`),
		"no list":          upstream(401, `{"completed":"m.login.email.identity"}`),
		"another stage":    upstream(401, `{"completed":["m.login.dummy",""]}`),
		"of an old client": upstream(401, `{"errcode":"M_UNAUTHORIZED","completed":[]}`),
	} {
		r := newRig(t, options{})
		legacy, sid := r.next, r.validated("register", "s", "a@x.org")
		for _, next := range []wire.Next{answer, legacy} { // in two conversations: a stage is used up in one
			r.next = legacy
			session := r.begin()
			r.next = next
			rec := r.do("POST", "/_matrix/client/r0/register", fmt.Sprintf(`{"username":"alice","password":"p","auth":{"type":"m.login.email.identity","session":%q,"threepid_creds":{"sid":%q,"client_secret":"s"}}}`, session, sid))
			if done := rec.Code == http.StatusOK; done != r.hs.HasUser("alice") {
				t.Errorf("%s: got %d %s", name, rec.Code, rec.Body)
			}
		}
		if !r.hs.HasUser("alice") {
			t.Errorf("%s: the session is used up", name)
		}
	}
}

// TestWhatAnAnswerSaysOfAProof by its status, and by the stages that it lists.
func TestWhatAnAnswerSaysOfAProof(t *testing.T) {
	const listed = `{"completed":["m.login.dummy","m.login.email.identity"]}`
	for _, c := range []struct {
		stage  string
		status int
		body   string
		want   verification.Outcome
	}{
		{wire.StageEmail, 200, ``, verification.Completed},
		{wire.StageEmail, 299, ``, verification.Completed},
		{wire.StageEmail, 302, ``, verification.Refused},
		{wire.StageEmail, 400, listed, verification.Refused},
		{wire.StageEmail, 499, ``, verification.Refused},
		{wire.StageEmail, 500, ``, verification.Unknown},
		{wire.StageEmail, 401, listed, verification.Completed},
		{wire.StageMSISDN, 401, listed, verification.Refused},
		{"", 401, `{"completed":[""]}`, verification.Refused},
		{wire.StageEmail, 401, `{"completed":["m.login.email.identity",5]}`, verification.Refused},
	} {
		answer := &wire.Answer{Status: c.status}
		_, _ = answer.Body.WriteString(c.body) // into memory
		j := &completion{credentials: []*credential{shownAt(c.stage, verification.Alias{})}}
		if got := j.judge(answer).outcome; got != c.want {
			t.Errorf("%+v: got %v", c, got)
		}
	}
	for _, c := range []struct {
		end    end
		stage  string
		tail   string
		status int
		want   bool
	}{
		{endAnswered, wire.StageEmail, route.TailRegister, 400, true},
		{endUnsent, wire.StageEmail, route.TailRegister, 400, false},
		{endAnswered, "", route.TailRegister, 400, false},
		{endAnswered, wire.StageEmail, route.TailPassword, 400, false},
		{endAnswered, wire.StageEmail, route.TailRegister, 401, false},
	} {
		v := verdict{end: c.end, answer: &wire.Answer{Status: c.status}, outcome: verification.Refused}
		if got := v.of(shownAt(c.stage, verification.Alias{}), c.tail) == verification.Kept; got != c.want {
			t.Errorf("%+v: got %v", c, got)
		}
	}
}

// shownAt is a credential for which an alias is shown at a stage.
func shownAt(stage string, alias verification.Alias) *credential {
	return &credential{Credentials: &wire.Credentials{Stage: stage}, alias: &alias}
}

// TestASessionAloneResetsNothing: that of somebody who is not logged in is passed on with
// the live proof of an address of email, at its stage, and otherwise not.
func TestASessionAloneResetsNothing(t *testing.T) {
	email, phone := verification.Alias{Live: true, Medium: verification.Email}, verification.Alias{Live: true, Medium: verification.MSISDN}
	for _, c := range []struct {
		name, tail, token string
		alias             verification.Alias
		stage             string
		passes            bool
	}{
		{"a proof", route.TailPassword, "", email, wire.StageEmail, true},
		{"no proof", route.TailPassword, "", verification.Alias{Medium: verification.Email}, wire.StageEmail, false},
		{"by phone", route.TailPassword, "", phone, wire.StageEmail, false},
		{"by phone, at its stage", route.TailPassword, "", phone, wire.StageMSISDN, false},
		{"at another stage", route.TailPassword, "", email, wire.StageMSISDN, false},
		{"at none", route.TailPassword, "", email, "", false},
		{"by a user", route.TailPassword, "Bearer t", verification.Alias{}, "", true},
		{"elsewhere", route.TailRegister, "", verification.Alias{}, "", true},
	} {
		for _, auth := range []wire.Object{{"session": wire.Encoded("u"), "type": wire.Encoded("x")}, {"type": wire.Encoded("x")}, nil} {
			_, given := auth["session"]
			req := httptest.NewRequest("POST", "/", nil)
			if c.token != "" {
				req.Header.Set("Authorization", c.token)
			}
			j := &completion{
				call: &wire.Call{R: req, Route: route.Route{Tail: c.tail}}, auth: auth,
				credentials: []*credential{shownAt("", verification.Alias{}), shownAt(c.stage, c.alias)},
			}
			j.dropLegacySession()
			if _, passes := j.auth["session"]; passes != (given && c.passes) || j.changed != (given && !c.passes) || len(auth) > 0 && auth["type"] == nil {
				t.Errorf("%s: the session is passed on: %v, changed: %v", c.name, passes, j.changed)
			}
		}
	}
}

// TestAddressesOfAPhoneAreToldAsTheyAre, however the homeserver spells one that the account
// has.
func TestAddressesOfAPhoneAreToldAsTheyAre(t *testing.T) {
	r, _ := phoneRig(t, options{})
	r.hs.AddUser("alice", "secret")
	r.hs.AddThreepid("alice", "msisdn", "+447400123456")
	sid, code := r.openPhone("account/3pid", "s")
	wantStatus(t, r.submitPhone(sid, "s", code), http.StatusOK)
	wantStatus(t, r.add(r.login("alice", "secret"), "r0", oldCreds(sid, "s")), http.StatusOK)
	calls := r.hs.IDServerCalls()
	if got := string(calls[len(calls)-1].Answer); !strings.Contains(got, `"address":"447400123456"`) {
		t.Errorf("the homeserver was told %s", got)
	}
}

// TestSessionsOfAServerThatIsAllowed stay as they are, even one that the homeserver once
// gave out by itself.
func TestSessionsOfAServerThatIsAllowed(t *testing.T) {
	r := newRig(t, options{
		config: func(c *Config) { c.Callback, c.TrustedIDServers = true, []string{"id.example"} },
		hs:     func(o *fakehs.Options) { o.ResetMode = fakehs.ResetLocal },
	})
	r.hs.AddUser("alice", "old", "alice@x.org")
	sid := r.request("account/password", "s", "alice@x.org")
	r.hs.ResetRecordings()
	r.reset(strings.Replace(resetBody(sid, "s"), `"sid"`, `"id_server":"id.example","sid"`, 1))
	if got := bodies(r.hs.Requests()); !strings.Contains(got, `{"client_secret":"s","id_server":"id.example","sid":"`+sid+`"}`) {
		t.Errorf("the homeserver saw %s", got)
	}
}

// TestAQueryThatIsReadInTwoWaysProvesNothing elsewhere either.
func TestAQueryThatIsReadInTwoWaysProvesNothing(t *testing.T) {
	r := newRig(t, options{})
	sid := r.validated("account/password", "s", "a@x.org")
	wantError(t, r.do("POST", elsewhere+"?a;access_token=x", resetBody(sid, "s")), http.StatusBadRequest, "M_INVALID_PARAM")
	if got := r.hs.Requests(); len(got) > 0 {
		t.Errorf("the homeserver saw %s", bodies(got))
	}
}

// stuck is a store whose writes come to no end while it is on.
type stuck struct {
	store.Store
	on atomic.Bool
}

func (s *stuck) Update(ctx context.Context, p store.Partition, fn func(store.Txn) error) error {
	if s.on.Load() {
		<-ctx.Done()
		return ctx.Err()
	}
	return s.Store.Update(ctx, p, fn)
}

// TestTheStoreIsWaitedForWhileTheClientIs: what the homeserver has done is written down
// after that, for a time, and whether or not the client is still there.
func TestTheStoreIsWaitedForWhileTheClientIs(t *testing.T) {
	for name, c := range map[string]struct {
		path, acts string
		status     int
		took       time.Duration
	}{
		"a reset":            {"/_matrix/client/r0/account/password", "/account/password", 200, 15 * time.Second},
		"a request":          {"/_matrix/client/r0/account/password/email/requestToken", "/email/requestToken", 500, 15 * time.Second},
		"a store that works": {"/_matrix/client/r0/account/password/email/requestToken", "none", 200, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			disk := &stuck{}
			r := newRig(t, options{config: func(c *Config) { c.Callback, c.NoNotices = true, true }, service: func(vc *verification.Config) { disk.Store, vc.Store = vc.Store, disk }})
			r.hs.AddUser("alice", "old", "alice@x.org")
			sid := r.validated("account/password", "s", "alice@x.org")
			legacy := r.next
			r.next = func(w http.ResponseWriter, req *http.Request) error {
				err := legacy(w, req)
				disk.on.Store(strings.HasSuffix(req.URL.Path, c.acts))
				return err
			}
			body := resetBody(sid, "s")
			if strings.HasSuffix(c.path, "requestToken") {
				body = emailBody("t", "alice@x.org")
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			begun := time.Now()
			rec := r.send(httptest.NewRequest("POST", c.path, strings.NewReader(body)).WithContext(ctx))
			if took := time.Since(begun); rec.Code != c.status || took != c.took {
				t.Errorf("%s: got %d %s after %v, want %d after %v", name, rec.Code, rec.Body, took, c.status, c.took)
			}
		})
	}
}

// TestWhoIsAskedByTheLimits: whoever has no address, as at a Unix socket, is nobody.
func TestWhoIsAskedByTheLimits(t *testing.T) {
	r := newRig(t, options{})
	for peer, want := range map[string]string{"192.0.2.1:7": "192.0.2.1", "[2001:db8::1]:7": "2001:db8::1", "@": "invalid IP", "": "invalid IP", "x:1": "invalid IP"} {
		req := httptest.NewRequest("POST", "/", nil)
		if req.RemoteAddr = peer; r.client.cfg.clientAddr(req).String() != want {
			t.Errorf("%q: got %s, want %s", peer, r.client.cfg.clientAddr(req), want)
		}
	}
	for link, want := range map[string]string{
		"https://x.org/?session_id=a&b=%zz": "", "https://x.org/?session_id=&session=a": "", "https://x.org/?session=a&session_id=a": "a",
		"https://x.org/?b=%zz#/?session=a": "a", "https://x.org/#session=a": "",
	} {
		if got := uiaSession(link); got != want {
			t.Errorf("%s: got %q, want %q", link, got, want)
		}
	}
}

// watched is a store that notes for how long it is asked.
type watched struct {
	store.Store
	mu   sync.Mutex
	seen []context.Context
}

func (s *watched) note(ctx context.Context) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen = append(s.seen, ctx)
}

func (s *watched) View(ctx context.Context, p store.Partition, fn func(store.Txn) error) error {
	s.note(ctx)
	return s.Store.View(ctx, p, fn)
}

func (s *watched) Update(ctx context.Context, p store.Partition, fn func(store.Txn) error) error {
	s.note(ctx)
	return s.Store.Update(ctx, p, fn)
}

func (s *watched) Scan(ctx context.Context, p store.Partition, prefix string, fn func(string, []byte) (bool, error)) error {
	s.note(ctx)
	return s.Store.Scan(ctx, p, prefix, fn)
}

// TestWhatIsDoneIsNotTimedAnyMore: whatever went on without its client has ended, and its
// timer with it.
func TestWhatIsDoneIsNotTimedAnyMore(t *testing.T) {
	modes(t, func(t *testing.T, opts options) {
		synctest.Test(t, func(t *testing.T) {
			disk := &watched{}
			opts.service = func(vc *verification.Config) { disk.Store, vc.Store = vc.Store, disk }
			r, _ := phoneRig(t, opts)
			r.hs.AddUser("alice", "secret", "alice@x.org")
			token := r.login("alice", "secret")
			r.ids.Start("id.example.org", "1", "s", "email", "alice@x.org")
			wantStatus(t, r.as(token, "POST", bindPath, bindBody("id.example.org", "1", "s")), http.StatusOK)
			wantStatus(t, r.as(token, "POST", unbindPath, ofAlice("")), http.StatusOK)
			wantStatus(t, r.reset(resetBody(r.validated("account/password", "s", "alice@x.org"), "s")), http.StatusOK)
			token = r.login("alice", "correct horse")
			r.openPhone("register", "p")
			proof, sid := r.validated("account/password", "q", "alice@x.org"), r.validated("account/3pid", "c", "new@x.org")
			wantStatus(t, r.as(token, "POST", addPath, mailProof(sid, "c", proof, "q")), http.StatusOK)
			wantStatus(t, r.as(token, "POST", deactivatePath, strings.Replace(deactivation(""), "secret", "correct horse", 1)), http.StatusOK)
			synctest.Wait()
			timed := 0
			for _, ctx := range disk.seen {
				if _, ok := ctx.Deadline(); ok {
					timed++
					if ctx.Err() == nil {
						t.Error("something is still timed")
					}
				}
			}
			if timed == 0 {
				t.Error("nothing was timed")
			}
		})
	})
}
