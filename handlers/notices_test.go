// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/handlers/internal/report"
	web "github.com/caddy-threepid/caddy-threepid/handlers/pages"
	"github.com/caddy-threepid/caddy-threepid/internal/provenance"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
	"github.com/caddy-threepid/caddy-threepid/internal/words"
	"github.com/caddy-threepid/caddy-threepid/store"
)

// told are the notices so far, as "notice address".
func (r *rig) told() []string {
	r.box.mu.Lock()
	defer r.box.mu.Unlock()
	list := []string{}
	for _, m := range r.box.messages {
		if m.Notice != "" {
			list = append(list, string(m.Notice)+" "+m.Address)
		}
	}
	return list
}

func (r *rig) wantTold(want ...string) {
	r.t.Helper()
	if got := r.told(); !slices.Equal(got, want) {
		r.t.Errorf("told were %q, want %q; changes %+v", got, want, r.events.changes)
	}
}

// aliceWith is a rig with a user who has these addresses.
func aliceWith(t *testing.T, opts options, emails ...string) (*rig, string) {
	t.Helper()
	r := newRig(t, opts)
	r.hs.AddUser("alice", "secret", emails...)
	return r, r.login("alice", "secret")
}

// addNew adds an address, the way of the old clients.
func (r *rig) addNew(token, secret, email string) {
	r.t.Helper()
	sid := r.validated("account/3pid", secret, email)
	wantStatus(r.t, r.add(token, "r0", `{"three_pid_creds":{"sid":"`+sid+`","client_secret":"`+secret+`"}}`), http.StatusOK)
}

func (r *rig) remove(token, medium, address string) *httptest.ResponseRecorder {
	r.t.Helper()
	return r.as(token, "POST", deletePath, `{"medium":"`+medium+`","address":"`+address+`"}`)
}

// TestNotice_AResetIsTold to the address that has proven it.
func TestNotice_AResetIsTold(t *testing.T) {
	for name, opts := range map[string]options{"off": {}, "callback": callback} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, opts)
			r.hs.AddUser("alice", "secret", "alice@x.org", "second@x.org")
			sid := r.request("account/password", "s", "alice@x.org")
			token := r.box.last(t).Token
			wantStatus(t, r.reset(resetBody(sid, "s")), http.StatusUnauthorized)
			r.wantTold() // nothing has happened yet
			wantStatus(t, r.confirm(sid, token), http.StatusOK)
			r.wantTold()
			wantStatus(t, r.reset(resetBody(sid, "s")), http.StatusOK)
			r.wantTold("password alice@x.org")
			wantStatus(t, r.reset(resetBody(sid, "s")), http.StatusUnauthorized)
			r.wantTold("password alice@x.org") // it was refused
		})
	}
}

// TestNotice_AnAdditionIsTold to the new address and to those before it, on both
// ways; adding again what the account has is none.
func TestNotice_AnAdditionIsTold(t *testing.T) {
	r, token := aliceWith(t, options{}, "alice@x.org", "second@x.org")
	r.hs.AddThreepid("alice", "msisdn", "491701234567")
	want := []string{"new new@x.org", "added alice@x.org", "added second@x.org"}
	r.addNew(token, "c", "new@x.org")
	r.wantTold(want...)
	r.addNew(token, "d", "new@x.org")
	r.wantTold(want...)
	sid := r.validated("account/3pid", "e", "third@x.org")
	wantStatus(t, r.as(token, "POST", addPath, addBody(sid, "e", passwordAuth("", "secret"))), http.StatusOK)
	r.wantTold(append(want, "new third@x.org", "added alice@x.org", "added second@x.org", "added new@x.org")...)
}

// TestNotice_ARemovalIsTold to the address that is gone and to those that are
// left, also if it is a phone number; removing what the account has not, or only
// unbinding, is none.
func TestNotice_ARemovalIsTold(t *testing.T) {
	r, token := aliceWith(t, options{}, "alice@x.org", "second@x.org")
	r.hs.AddThreepid("alice", "msisdn", "491701234567")
	r.hs.AddUser("bob", "secret", "bob@x.org")
	wantStatus(t, r.remove(token, "email", "bob@x.org"), http.StatusOK)
	wantStatus(t, r.as(token, "POST", unbindPath, ofAlice("")), http.StatusOK)
	r.wantTold()
	wantStatus(t, r.remove(token, "msisdn", "491701234567"), http.StatusOK)
	want := []string{"removed alice@x.org", "removed second@x.org"}
	r.wantTold(want...)
	wantStatus(t, r.remove(token, "email", "Alice@X.org"), http.StatusOK)
	want = append(want, "gone alice@x.org", "removed second@x.org")
	r.wantTold(want...)
	wantStatus(t, r.remove(token, "email", "second@x.org"), http.StatusOK)
	r.wantTold(append(want, "gone second@x.org")...)
	if got := r.hs.Emails("alice"); len(got) != 0 {
		t.Errorf("the account has %q", got)
	}
}

// TestNotice_ARefusedChangeIsNone: what the homeserver has not done is not told.
func TestNotice_ARefusedChangeIsNone(t *testing.T) {
	r, token := aliceWith(t, options{}, "alice@x.org")
	r.hs.AddUser("bob", "secret", "bob@x.org")
	legacy := r.next
	r.next = func(w http.ResponseWriter, req *http.Request) error {
		if req.Method == http.MethodPost && strings.HasSuffix(req.URL.Path, "/3pid/delete") {
			return upstream(403, `{"errcode":"M_FORBIDDEN","error":"no"}`)(w, req)
		}
		return legacy(w, req)
	}
	wantStatus(t, r.remove(token, "email", "alice@x.org"), http.StatusForbidden)
	sid := r.validated("account/3pid", "c", "bob@x.org") // checks are off
	r.add(token, "r0", `{"three_pid_creds":{"sid":"`+sid+`","client_secret":"c"}}`)
	r.wantTold()
}

// TestNotice_Off: nobody is told.
func TestNotice_Off(t *testing.T) {
	r, token := aliceWith(t, options{config: func(c *Config) { c.NoNotices = true }}, "alice@x.org", "second@x.org")
	r.addNew(token, "c", "new@x.org")
	wantStatus(t, r.remove(token, "email", "alice@x.org"), http.StatusOK)
	sid := r.validated("account/password", "s", "second@x.org")
	wantStatus(t, r.reset(resetBody(sid, "s")), http.StatusOK)
	r.wantTold()
}

// TestNotice_NoFailureFailsTheRequest: neither a full outbox, nor a store that
// fails.
func TestNotice_NoFailureFailsTheRequest(t *testing.T) {
	box := &fullOutbox{heldOutbox: &heldOutbox{}}
	r, token := aliceWith(t, options{service: func(c *verification.Config) { c.Outbox = box }}, "alice@x.org", "second@x.org")
	r.box = box.heldOutbox
	sid := r.validated("account/3pid", "c", "new@x.org")
	reset := r.validated("account/password", "s", "second@x.org")
	box.full = true
	wantStatus(t, r.add(token, "r0", `{"three_pid_creds":{"sid":"`+sid+`","client_secret":"c"}}`), http.StatusOK)
	wantStatus(t, r.remove(token, "email", "alice@x.org"), http.StatusOK)
	wantStatus(t, r.reset(resetBody(reset, "s")), http.StatusOK)
	r.wantTold()
	failed := 0
	for _, c := range r.events.changes {
		if c.Action == actionNotified && errors.Is(c.Err, errFull) {
			failed++
		}
	}
	if failed != 3 {
		t.Errorf("%d failures are reported, want 3: %+v", failed, r.events.changes)
	}

	r, token = aliceWith(t, options{}, "alice@x.org")
	r.hs.Inject(1, func(req *http.Request) bool {
		return req.Method == http.MethodGet && strings.HasSuffix(req.URL.Path, "/account/3pid")
	}, func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		w.WriteHeader(http.StatusInternalServerError)
	})
	wantStatus(t, r.remove(token, "email", "alice@x.org"), http.StatusBadGateway)
	r.wantTold() // and nothing was removed: nobody knows whose it is
	if got := r.hs.Emails("alice"); len(got) != 1 {
		t.Errorf("the account has %q", got)
	}
}

var errFull = errors.New("the outbox is full")

// fullOutbox takes no more notices.
type fullOutbox struct {
	*heldOutbox
	full bool
}

func (o *fullOutbox) Put(txn store.Txn, m verification.Message) error {
	if o.full && m.Notice != "" {
		return errFull
	}
	return o.heldOutbox.Put(txn, m)
}

// TestNotice_NothingHoldsTheAnswerUp: while the name server of the operator's
// rules is silent, the client has its answer.
func TestNotice_NothingHoldsTheAnswerUp(t *testing.T) {
	asked, release := make(chan struct{}), make(chan struct{})
	r, token := aliceWith(t, options{config: func(c *Config) {
		c.Emails = rules{refused: func(context.Context, string) bool {
			close(asked)
			<-release
			return false
		}}
	}}, "alice@x.org")
	wantStatus(t, r.remove(token, "email", "alice@x.org"), http.StatusOK) // it returns
	await(t, asked)
	r.wantTold()
	told := make(chan struct{})
	r.events.onChange(func(c report.Change) {
		if c.Action == actionNotified {
			close(told)
		}
	})
	close(release)
	await(t, told)
	r.wantTold("gone alice@x.org")
}

// await waits for what has to come.
func await(t *testing.T, done <-chan struct{}) {
	t.Helper()
	select {
	case <-done:
	case <-time.After(time.Minute):
		t.Fatal("it never came")
	}
}

// TestNotice_ThePolicyHolds for all but the notice of a reset, which goes where
// its token went.
func TestNotice_ThePolicyHolds(t *testing.T) {
	denied := false
	r, token := aliceWith(t, options{config: func(c *Config) {
		c.Emails = rules{refused: func(_ context.Context, email string) bool { return denied && strings.HasSuffix(email, "@denied.org") }}
	}}, "alice@denied.org", "alice@x.org")
	sid := r.validated("account/3pid", "c", "new@x.org")
	denied = true
	wantStatus(t, r.add(token, "r0", `{"three_pid_creds":{"sid":"`+sid+`","client_secret":"c"}}`), http.StatusOK)
	r.wantTold("new new@x.org", "added alice@x.org")
	sid = r.validated("account/password", "s", "alice@denied.org")
	wantStatus(t, r.reset(resetBody(sid, "s")), http.StatusOK)
	r.wantTold("new new@x.org", "added alice@x.org", "password alice@denied.org")
}

// TestNotice_ALoopDoesNotFlood: somebody who adds and removes an address over and
// over fills no mailbox, and cannot silence what is told when the owner's address
// goes.
func TestNotice_ALoopDoesNotFlood(t *testing.T) {
	r, token := aliceWith(t, options{}, "alice@x.org")
	for i := range 25 {
		r.addNew(token, fmt.Sprint("c", i), "thief@evil.org")
		wantStatus(t, r.remove(token, "email", "thief@evil.org"), http.StatusOK)
	}
	r.addNew(token, "last", "thief@evil.org")
	wantStatus(t, r.remove(token, "email", "alice@x.org"), http.StatusOK)
	count := map[string]int{}
	for _, told := range r.told() {
		count[told]++
	}
	want := map[string]int{
		"added alice@x.org": 3, "removed alice@x.org": 3, "gone alice@x.org": 1,
		"new thief@evil.org": 3, "gone thief@evil.org": 3,
	}
	for told, n := range want {
		if count[told] != n {
			t.Errorf("%q came %d times, want %d", told, count[told], n)
		}
	}
	if len(count) != len(want) {
		t.Errorf("told was %v", count)
	}
	if !slices.ContainsFunc(r.events.changes, func(c report.Change) bool { return c.Action == actionNotified && c.Result == "limited" && c.Err == nil }) {
		t.Error("that a limit was met is not reported")
	}
}

// TestNotice_TellsWhoAndWhere as far as the operator allows, in words of ours,
// and in the language of the owner, not in that of whoever has done it.
func TestNotice_TellsWhoAndWhere(t *testing.T) {
	const agent = "Element/1.6 (Pixel; Android 14; <b>http://evil.example</b>)"
	for detail, want := range map[provenance.Detail]provenance.Origin{
		"":                {Program: "Element", System: "Android", Network: "203.0.x.x"},
		provenance.Full:   {Program: "Element", System: "Android", Network: "203.0.113.x"},
		provenance.Coarse: {Program: "Element", System: "Android", Network: "203.0.x.x"},
		provenance.Off:    {},
	} {
		r, token := aliceWith(t, options{config: func(c *Config) {
			c.RequestContext = detail
			audienceOf(c).addr = func(*http.Request) netip.Addr { return netip.MustParseAddr("203.0.113.7") }
			audienceOf(c).language = func(accept string) string { return strings.TrimSpace(accept) }
			audienceOf(c).brand = func(host string) string { return "brand of " + host }
		}}, "alice@x.org")
		rec := r.do("POST", "/_matrix/client/r0/account/password/email/requestToken", `{"client_secret":"s","email":"alice@x.org","send_attempt":1}`,
			"Accept-Language", "de", "User-Agent", agent)
		wantStatus(t, rec, http.StatusOK)
		if got := r.box.last(t).Origin; got != want {
			t.Errorf("%q: the mail of a request comes from %+v, want %+v", detail, got, want)
		}
		wantStatus(t, r.confirm(decoded(t, rec)["sid"].(string), r.box.last(t).Token), http.StatusOK)
		rec = r.do("POST", deletePath, ofAlice(""), "Authorization", "Bearer "+token, "Accept-Language", "ja", "User-Agent", agent)
		wantStatus(t, rec, http.StatusOK)
		got := r.box.last(t)
		if got.Notice != verification.NoticeGone || got.Origin != want || got.Language != "de" || got.Brand != "brand of example.com" {
			t.Errorf("%q: got %+v, want one from %+v, in German", detail, got, want)
		}
		if got.Token != "" || got.Refusal != "" {
			t.Errorf("%q: the notice has a token", detail)
		}
	}
}

// TestPageSaysWhenAndWhere behind the link of a mail, and to nobody else: a
// client that knows the session does not learn that somebody else has asked.
func TestPageSaysWhenAndWhere(t *testing.T) {
	const agent = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0 \"><script>alert(1)</script>"
	set := loadTemplates(t, words.Options{})
	for _, proof := range []verification.Proof{verification.ProofLink, verification.ProofCode} {
		r := newPageRig(t, options{config: func(c *Config) {
			c.Proof = proof
			audienceOf(c).addr = func(*http.Request) netip.Addr { return netip.MustParseAddr("2001:db8:1::7") }
		}})
		if err := r.client.SetPages(PageOptions{Words: web.FromTemplates(set), Now: r.clock.Now}); err != nil {
			t.Fatal(err)
		}
		ask := func(secret string) (sid, token string) {
			rec := r.do("POST", "/_matrix/client/r0/account/password/email/requestToken",
				`{"client_secret":"`+secret+`","email":"alice@x.org","send_attempt":1}`, "User-Agent", agent)
			wantStatus(t, rec, http.StatusOK)
			m := r.box.last(t)
			if _, err := r.svc.NoteOpen(t.Context(), m); err != nil { // it is sent
				t.Fatal(err)
			}
			return m.SID, m.Token
		}
		const made, app, network, another = "2027-01-15 08:00 UTC", "Firefox (Linux)", "2001:db8::/32", "Another request like this one is open"
		page := func(sid, token string) string {
			rec := r.do("GET", linkQuery("sid", sid, "token", token), "")
			wantStatus(t, rec, http.StatusOK)
			if body := rec.Body.String(); strings.Contains(body, "script") || strings.Contains(body, "rv:128") {
				t.Errorf("the page has what the client has sent:\n%s", body)
			}
			return rec.Body.String()
		}
		sid, token := ask("one")
		want := map[string]bool{made: true, app: true, network: true, another: false}
		if proof == verification.ProofCode {
			want, token = map[string]bool{made: false, app: false, network: false, another: false}, "000000" // a guess
			check := page(sid, "")
			if strings.Contains(check, app) {
				t.Errorf("the page for a code says where it was asked for:\n%s", check)
			}
		}
		check := func(when, body string) {
			for text, there := range want {
				if strings.Contains(body, text) != there {
					t.Errorf("%s, proof %d: %q is there: %v, want %v in\n%s", when, proof, text, !there, there, body)
				}
			}
		}
		check("alone", page(sid, token))
		ask("two")
		want[another] = proof == verification.ProofLink
		check("with another", page(sid, token))
		help := r.do("GET", helpLink(sid, "one"), "")
		if body := help.Body.String(); strings.Contains(body, another) || strings.Contains(body, app) {
			t.Errorf("the help page, which the client sees, tells of it:\n%s", body)
		}
	}
}
