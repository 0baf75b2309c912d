// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"fmt"
	"maps"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/handlers/internal/wire"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/fakehs"
	"github.com/caddy-threepid/caddy-threepid/internal/ratelimit"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
	"github.com/caddy-threepid/caddy-threepid/store"
)

// hiding is a case that a client must not tell from the one in which the
// homeserver grants the request.
type hiding struct {
	purpose string
	medium  threepid.Medium
	// owned says whether an account has the address where it is refused.
	owned bool
}

var hidings = []hiding{
	{"register", threepid.Email, true},
	{"account/3pid", threepid.Email, true},
	{"account/password", threepid.Email, false},
	{"register", threepid.MSISDN, true},
	{"account/3pid", threepid.MSISDN, true},
	{"account/password", threepid.MSISDN, false},
}

// observer is a client that writes down all that it gets, without what is drawn
// at random.
type observer struct {
	*rig
	hiding
	token string // of a user who has nothing to do with the address
	notes []string
}

var errcode = regexp.MustCompile(`^M_[0-9A-Z_]+$`)

// random is what differs between any two requests: sids, sessions of UIA, the
// nonces of pages.
var random = regexp.MustCompile(`[0-9A-Za-z_-]{21,}(\.[0-9A-Za-z_-]{21,})?`)

func (o *observer) note(what string, rec *httptest.ResponseRecorder) *httptest.ResponseRecorder {
	o.t.Helper()
	var headers []string
	for _, name := range slices.Sorted(maps.Keys(rec.Header())) {
		headers = append(headers, name+": "+strings.Join(rec.Header()[name], ", "))
	}
	text := fmt.Sprintf("%s: %d\n%s\n\n%s", what, rec.Code, strings.Join(headers, "\n"), rec.Body)
	o.notes = append(o.notes, random.ReplaceAllStringFunc(text, func(found string) string {
		if errcode.MatchString(found) {
			return found
		}
		return "RANDOM"
	}))
	return rec
}

func (o *observer) ask(secret string, attempt int) *httptest.ResponseRecorder {
	o.t.Helper()
	body := fmt.Sprintf(`{"client_secret":%q,"email":"who@x.org","send_attempt":%d}`, secret, attempt)
	if o.medium == threepid.MSISDN {
		body = phoneBody(secret, "GB", "07400123456", attempt)
	}
	return o.note(fmt.Sprint("request ", secret, attempt),
		o.do("POST", "/_matrix/client/v3/"+o.purpose+"/"+string(o.medium)+"/requestToken", body))
}

func (o *observer) submit(sid, secret, token string) {
	o.t.Helper()
	o.note("submit "+token, o.do("POST", "/_threepid/validate/"+string(o.medium)+"/submitToken", submitBody(sid, secret, token)))
}

// complete tries to use a session in all the ways that there are.
func (o *observer) complete(sid, secret string) {
	o.t.Helper()
	creds := fmt.Sprintf(`{"sid":%q,"client_secret":%q}`, sid, secret)
	stage := map[threepid.Medium]string{threepid.Email: wire.StageEmail, threepid.MSISDN: wire.StageMSISDN}[o.medium]
	auth := fmt.Sprintf(`{"type":%q,"threepid_creds":%s}`, stage, creds)
	for _, c := range []struct{ path, body string }{
		{"r0/register", `{"username":"new","password":"pw","auth":` + auth + `}`},
		{"v3/register", `{"username":"new","password":"pw","auth":` + auth + `}`},
		{"v3/account/password", `{"new_password":"pw","auth":` + auth + `}`},
		{"r0/account/3pid", `{"three_pid_creds":` + creds + `}`},
		{"v3/account/3pid/add", creds},
		{"v3/account/3pid/add", fmt.Sprintf(`{"sid":%q,"client_secret":%q,"auth":%s}`, sid, secret, passwordAuth("", "secret"))},
		{"v3/delete_devices", `{"devices":[],"auth":` + auth + `}`},
	} {
		for _, token := range []string{"", o.token} {
			header := []string{}
			if token != "" {
				header = []string{"Authorization", "Bearer " + token}
			}
			o.note("complete at "+c.path, o.do("POST", "/_matrix/client/"+c.path, c.body, header...))
		}
	}
}

// page opens all the pages about a session.
func (o *observer) page(sid, secret string) {
	o.t.Helper()
	base := "/_threepid/validate/" + string(o.medium) + "/submitToken?sid=" + sid + "&client_secret=" + secret
	for _, query := range []string{"", "&token=123456", "&help=1"} {
		o.note("page "+query, o.do("GET", base+query, ""))
	}
	o.note("no refusal", o.do("GET", "/_threepid/refuse?sid="+sid+"&refusal=wrong", ""))
}

// everything that a client can try with an address and its sessions.
func (o *observer) everything() []string {
	o.t.Helper()
	sid, _ := decoded(o.t, o.ask("one", 1))["sid"].(string)
	for _, attempt := range []int{1, 0, 2, 2, 3} {
		if again := decoded(o.t, o.ask("one", attempt))["sid"]; again != sid {
			o.t.Errorf("attempt %d: got sid %v, want %s", attempt, again, sid)
		}
	}
	o.page(sid, "one")
	o.complete(sid, "one")
	o.complete(sid, "wrong")
	o.submit(sid, "wrong", "123456")
	for n := range 7 {
		o.submit(sid, "one", fmt.Sprintf("00000%d", n))
		o.page(sid, "one")
	}
	o.complete(sid, "one")
	two, _ := decoded(o.t, o.ask("two", 1))["sid"].(string)
	o.note("face", o.faceGet("/_matrix/identity/api/v1/3pid/getValidated3pid?sid="+two+"&client_secret=two"))
	o.clock.Advance(61 * time.Minute)
	o.submit(two, "two", "123456")
	o.ask("two", 1)
	o.clock.Advance(23 * time.Hour)
	o.submit(two, "two", "123456")
	o.complete(two, "two")
	o.page(two, "two")
	for n := range 12 {
		o.ask("flood", n)
	}
	o.clock.Advance(time.Hour)
	three, _ := decoded(o.t, o.ask("three", 1))["sid"].(string)
	refusal := o.box.last(o.t).Refusal
	o.note("refusal", o.do("GET", "/_threepid/refuse?sid="+three+"&refusal="+string(refusal), ""))
	o.note("refused", o.do("POST", "/_threepid/refuse?sid="+three+"&refusal="+string(refusal), "List-Unsubscribe=One-Click",
		"Content-Type", "application/x-www-form-urlencoded"))
	o.ask("three", 2)
	o.submit(three, "three", "123456")
	o.complete(three, "three")
	o.page(three, "three")
	return o.notes
}

func (r *rig) faceGet(target string) *httptest.ResponseRecorder {
	req := httptest.NewRequest("GET", target, nil)
	req.RemoteAddr = "127.0.0.1:40000"
	rec := httptest.NewRecorder()
	r.face.ServeHTTP(rec, req)
	return rec
}

// observe is what a client sees of an address that an account has, or not.
func observe(t *testing.T, h hiding, owned bool, opts options) []string {
	t.Helper()
	if h.medium == threepid.Email && opts.config == nil {
		opts.config = callback.config
	}
	service := opts.service
	opts.service = func(c *verification.Config) {
		c.PerAddress = ratelimit.Limit{Burst: 10, Per: time.Hour}
		if service != nil {
			service(c)
		}
	}
	r, p := phoneRig(t, opts)
	r.hs.AddUser("alice", "secret")
	if owned {
		r.hs.AddUser("owner", "secret")
		r.hs.AddThreepid("owner", "email", "who@x.org")
		r.hs.AddThreepid("owner", "msisdn", "447400123456")
	}
	o := &observer{rig: r, hiding: h, token: r.login("alice", "secret")}
	notes := o.everything()
	return append(notes, fmt.Sprint("paid ", len(p.paid), ", released ", p.released, ", messages ", r.box.count()))
}

// TestF15_DecoyCannotBeTold: status, headers and bodies of everything that a
// client can ask for are the same, to the letter, whether the homeserver grants
// the request or refuses it because of who has the address. So is what is paid.
func TestF15_DecoyCannotBeTold(t *testing.T) {
	codes := func(c *Config) { c.Callback, c.Proof = true, verification.ProofCode }
	for _, h := range hidings {
		for name, config := range map[string]func(*Config){"link": callback.config, "code": codes} {
			t.Run(string(h.medium)+" "+h.purpose+" "+name, func(t *testing.T) {
				granted := observe(t, h, !h.owned, options{config: config})
				refused := observe(t, h, h.owned, options{config: config})
				compare(t, granted, refused)
				for _, text := range refused {
					if strings.Contains(text, "M_THREEPID_IN_USE") || strings.Contains(text, "M_THREEPID_NOT_FOUND") {
						t.Errorf("told: %s", text)
					}
				}
			})
		}
	}
}

// compare names the first difference.
func compare(t *testing.T, granted, refused []string) {
	t.Helper()
	if len(granted) != len(refused) || len(granted) < 60 {
		t.Fatalf("got %d and %d answers, want as many, and many", len(granted), len(refused))
	}
	for i := range granted {
		if granted[i] != refused[i] {
			t.Fatalf("answer %d differs:\ngranted: %s\n\nrefused: %s", i, granted[i], refused[i])
		}
	}
}

// TestF15_RevealedIsTold: the comparison finds the difference where there is one.
func TestF15_RevealedIsTold(t *testing.T) {
	for _, h := range hidings {
		r, p := phoneRig(t, revealing)
		if h.owned {
			r.hs.AddUser("owner", "secret")
			r.hs.AddThreepid("owner", "email", "who@x.org")
			r.hs.AddThreepid("owner", "msisdn", "447400123456")
		}
		o := &observer{rig: r, hiding: h}
		want := map[bool]string{true: "M_THREEPID_IN_USE", false: "M_THREEPID_NOT_FOUND"}[h.owned]
		wantError(t, o.ask("one", 1), 400, want)
		if r.box.count() != 0 || p.spent() != 0 {
			t.Errorf("%v: %d messages, %d paid for, want none", h, r.box.count(), p.spent())
		}
	}
}

// TestF16_DeniedIsTold: that an address may not be used is about the address, and
// not about who has it.
func TestF16_DeniedIsTold(t *testing.T) {
	r := newRig(t, options{config: callback.config, hs: func(o *fakehs.Options) { o.AllowedLocal3PIDs = []string{`.*@y\.org$`} }})
	r.hs.AddUser("owner", "secret", "who@x.org")
	for _, h := range hidings[:3] {
		o := &observer{rig: r, hiding: h}
		wantError(t, o.ask("one", 1), 403, "M_THREEPID_DENIED")
	}
	if r.box.count() != 0 {
		t.Errorf("%d messages, want none", r.box.count())
	}
}

// fullBox takes no message while it is full.
type fullBox struct {
	heldOutbox
	full atomic.Bool
}

func (b *fullBox) Put(txn store.Txn, m verification.Message) error {
	if b.full.Load() {
		return fullError{}
	}
	return b.heldOutbox.Put(txn, m)
}

type fullError struct{}

func (fullError) Error() string             { return "the outbox is full" }
func (fullError) RetryAfter() time.Duration { return 7 * time.Second }

// TestF15_FullOutboxTellsNothing, not even that it is full: a decoy fills it less
// than what waits to be sent. The next request sends, if there is room.
func TestF15_FullOutboxTellsNothing(t *testing.T) {
	for _, h := range hidings {
		var answers []string
		for _, owned := range []bool{false, true} {
			full := &fullBox{}
			full.full.Store(true)
			r, p := phoneRig(t, options{config: callback.config, service: func(c *verification.Config) { c.Outbox = full }})
			if owned {
				r.hs.AddUser("owner", "secret")
				r.hs.AddThreepid("owner", "email", "who@x.org")
				r.hs.AddThreepid("owner", "msisdn", "447400123456")
			}
			o := &observer{rig: r, hiding: h}
			wantStatus(t, o.ask("one", 1), 200)
			wantStatus(t, o.ask("one", 1), 200)
			if full.count() != 0 || full.woken != 0 {
				t.Errorf("%v: %d messages, %d woken for, want none", h, full.count(), full.woken)
			}
			full.full.Store(false)
			wantStatus(t, o.ask("one", 2), 200)
			if full.count() != 1 || full.woken != 1 {
				t.Errorf("%v: %d messages, %d woken for, want one", h, full.count(), full.woken)
			}
			answers = append(answers, strings.Join(o.notes, "\n"), fmt.Sprint(p.spent()))
		}
		if answers[0] != answers[2] || answers[1] != answers[3] {
			t.Errorf("%v: got\n%s\nand\n%s", h, answers[:2], answers[2:])
		}
	}
}

// TestDecoyIsNoMessageMore: what the owner of the address gets has no token, and
// the client's way to it is as limited as any.
func TestDecoyIsNoMessageMore(t *testing.T) {
	for _, h := range hidings {
		r, _ := phoneRig(t, callback)
		if h.owned {
			r.hs.AddUser("owner", "secret")
			r.hs.AddThreepid("owner", "email", "who@x.org")
			r.hs.AddThreepid("owner", "msisdn", "447400123456")
		}
		o := &observer{rig: r, hiding: h}
		sid, _ := decoded(t, o.ask("one", 1))["sid"].(string)
		m := r.box.last(t)
		if r.box.count() != 1 || !m.Decoy || m.Token != "" || m.Refusal == "" || m.Medium != h.medium {
			t.Errorf("%v: %d messages, the last %+v, want one notice", h, r.box.count(), m)
		}
		a, err := r.svc.Describe(t.Context(), threepid.SID(sid))
		if err != nil || !a.Decoy {
			t.Errorf("%v: the operator sees %+v, %v, want a decoy", h, a, err)
		}
	}
}

// TestDeliveryIsToldWhereThereAreNoDecoys, and nowhere else, to those who have the
// session and no token; the operator is told in any case.
func TestDeliveryIsToldWhereThereAreNoDecoys(t *testing.T) {
	for _, tt := range []struct {
		callback, reveal, told bool
	}{{false, false, true}, {true, true, true}, {true, false, false}} {
		r, _ := phoneRig(t, options{config: func(c *Config) { c.Callback, c.Reveal = tt.callback, tt.reveal }})
		sid, _ := decoded(t, r.requestPhone("register", phoneBody("s", "GB", "07400123456", 1)))["sid"].(string)
		for _, state := range []verification.DeliveryState{verification.Arrived, verification.Bounced, verification.Complained} {
			if err := r.svc.NoteFeedback(t.Context(), threepid.SID(sid), state); err != nil {
				t.Fatal(err)
			}
			words := map[verification.DeliveryState]string{
				verification.Arrived: "has reached your phone", verification.Bounced: "could not deliver", verification.Complained: "We send no text messages to this number",
			}[state]
			page := r.do("GET", phonePath+"?help=1&client_secret=s&sid="+sid, "")
			if got := strings.Contains(page.Body.String(), words); page.Code != 200 || got != tt.told {
				t.Errorf("callback %v, reveal %v: status %d, %q is told %v, want %v:\n%s", tt.callback, tt.reveal, page.Code, words, got, tt.told, page.Body)
			}
			if a, err := r.svc.Describe(t.Context(), threepid.SID(sid)); err != nil || a.Delivery != state {
				t.Errorf("the operator sees %+v, %v, want %s", a, err, state)
			}
		}
	}
}
