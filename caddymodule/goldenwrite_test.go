// SPDX-License-Identifier: Apache-2.0

package caddymodule_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/caddymodule/admin"
	"github.com/caddy-threepid/caddy-threepid/internal/instance"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/fakehs"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/fakeis"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/faults"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/smstest"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/smtptest"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/stack"
)

const mailgunKey = "canary-mailgun-signing-key"

// trouble is what the relay of the writer does to some.
func trouble(stage, address string) error {
	who, _, _ := strings.Cut(address, "@")
	who, _, _ = strings.Cut(who, "-")
	switch stage + " " + who {
	case "RCPT refused":
		return smtptest.Reply(550, "no such mailbox here")
	case "RCPT deferred":
		return smtptest.Reply(451, "come back later")
	case "DATA uncertain":
		return smtptest.ErrDrop
	case "RCPT leased":
		select {} // until the end of the process
	}
	return nil
}

// writers are the lives that make the golden store.
var writers = []life{
	{name: "decoy one", begin: func(g *golden) { g.eras()[0].writeDecoy() }},
	{name: "write one", begin: func(g *golden) { g.eras()[0].write() }},
	{name: "aside one", begin: (*golden).setAside},
	{name: "decoy two", begin: func(g *golden) { g.eras()[1].writeDecoy() }, at: 20 * time.Second},
	{name: "write two", begin: func(g *golden) { g.eras()[1].write() }, at: 20 * time.Second},
	{name: "aside two", begin: (*golden).setAside, at: 20 * time.Second},
	{name: "decoy three", begin: func(g *golden) { g.eras()[2].writeDecoy() }, at: 40 * time.Second},
	{name: "write three", begin: func(g *golden) { g.eras()[2].write() }, at: 40 * time.Second},
	{name: "put back", begin: (*golden).putBack, at: 40 * time.Second},
}

// writeGolden makes the golden store anew, of what the program of today writes.
func writeGolden(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	for _, l := range writers {
		if said, ok := lead(t, l.name, dir, goldenBegin.Add(l.at)); !ok {
			t.Fatalf("life %s has said:\n%s", l.name, said)
		}
	}
	packGolden(t, dir, goldenStore)
}

// era is the time of one key: what is written in it is sealed by that key.
type era struct {
	*golden
	name   string
	prefix string // of its phone numbers
	ip     string // of its clients
	key    int    // its number
}

// eras are those of the golden store. Each has a country of its own, as what is counted
// together is sealed by the key in use.
func (g *golden) eras() []*era {
	return []*era{
		{g, "one", "4474001234", "192.0.2.1", 1},
		{g, "two", "49151123456", "192.0.2.2", 2},
		{g, "three", "336123456", "192.0.2.3", 3},
	}
}

func (e *era) address(who string) string { return who + "@" + e.name + ".example" }
func (e *era) secret(who string) string  { return "secret-of-" + who + "-" + e.name }
func (e *era) user(who string) string    { return who + "-" + e.name }
func (e *era) number(n int) string       { return fmt.Sprintf("%s%02d", e.prefix, n) }

func (e *era) keep(who string, n note) { e.notes[e.name+"/"+who] = n }

func (e *era) noted(who string) note {
	n, ok := e.notes[e.name+"/"+who]
	if !ok {
		e.t.Fatalf("nobody knows of %s in era %s", who, e.name)
	}
	return n
}

// as has all that follows be sent by somebody's browser.
func (e *era) as(who string) {
	e.client.Header = http.Header{"X-Forwarded-For": {e.ip}, "User-Agent": {"Browser of " + e.user(who)}, "Accept-Language": {"de"}}
}

// post sends a request to the client-server API.
func (e *era) post(path, token string, body any, want int) stack.Answer {
	e.t.Helper()
	return e.do("POST", "/_matrix/client/v3/"+path, token, body, want)
}

// asks has somebody ask for a mail.
func (e *era) asks(purpose, who string) note {
	e.t.Helper()
	e.as(who)
	n := note{Address: e.address(who), Secret: e.secret(who)}
	n.SID = e.post(purpose+"/email/requestToken", "", mailTo(n), http.StatusOK).Text("sid")
	return n
}

func mailTo(n note) stack.Object {
	return stack.Object{"client_secret": n.Secret, "email": n.Address, "send_attempt": 1}
}

func textTo(n note) stack.Object {
	return stack.Object{"client_secret": n.Secret, "country": "GB", "phone_number": "+" + n.Address, "send_attempt": 1}
}

// reads has somebody read the mail that they have asked for.
func (e *era) reads(n note) note {
	e.t.Helper()
	m, err := e.inbox.WaitFor(e.t.Context(), n.Address)
	must(e.t, err)
	link, _ := m.Link()
	n.Link = strings.TrimPrefix(link, e.url())
	n.Tag = m.Header("X-PM-Metadata-threepid-tag")
	e.until("the note that it was sent", func() bool { return e.session(n.SID).Delivery == "sent" })
	return n
}

// presses opens a link and presses the button of its page.
func (e *era) presses(link string) {
	e.t.Helper()
	page, done, err := e.client.Click(e.t.Context(), link)
	if err != nil || page.Status != http.StatusOK || done.Status != http.StatusOK {
		e.t.Fatalf("got %d and %d (%v) for link and button, want 200", page.Status, done.Status, err)
	}
}

// begin has a new key come into use, but for the first era.
func (e *era) begin(more ...string) {
	e.start(more...)
	if len(e.keys().Keys) < e.key {
		e.admins("POST", "keys/rotate", stack.Object{}, http.StatusOK)
	}
}

// writeDecoy has somebody ask for an address that somebody else has.
func (e *era) writeDecoy() {
	e.begin()
	e.hs.AddUser(e.user("owner"), oldPassword, e.address("taken"))
	e.asksInVain(e.secret("taken"))
	_, err := e.inbox.WaitFor(e.t.Context(), e.address("taken"))
	must(e.t, err)
	e.until("the note that it was explained", func() bool { return slices.Equal(e.outcomes("taken"), []string{"sent"}) })
}

// asksInVain does so without waiting for the answer, which is given when a moment has
// passed.
func (e *era) asksInVain(secret string) {
	e.as("taken")
	e.inBackground("account/3pid/email/requestToken", "", mailTo(note{Address: e.address("taken"), Secret: secret}))
}

// outcomes are what became of the mails to somebody, the newest first.
func (e *era) outcomes(who string) (states []string) {
	e.t.Helper()
	for _, m := range e.finds(e.address(who)).Messages {
		states = append(states, m.Delivery)
	}
	return states
}

// finds is what the operator is told of an address.
func (g *golden) finds(address string) (found admin.FoundAddress) {
	g.t.Helper()
	answer := g.admins("POST", "addresses/find", stack.Object{"address": address}, http.StatusOK)
	must(g.t, json.Unmarshal([]byte(answer.Body), &found))
	return found
}

// write leaves one record of every kind, and the relay waiting.
func (e *era) write() {
	e.begin(candid, gated)
	e.refuse.Store(true)
	e.writeSessions()
	e.writeRegistrations()
	e.writeRefusals()
	e.writePhones()
	e.writeBinding()
	e.writeMails()
	e.writeFlights()
	e.writeCrowd()
	raw, err := json.MarshalIndent(e.notes, "", "\t")
	must(e.t, err, os.WriteFile(e.path("notes.json"), raw, 0o600))
}

func (e *era) writeSessions() {
	e.keep("added", e.reads(e.asks("account/3pid", "added")))
	for _, who := range []string{"validated", "completed"} {
		e.hs.AddUser(e.user(who), oldPassword, e.address(who))
		n := e.reads(e.asks("account/password", who))
		e.presses(n.Link)
		e.keep(who, n)
	}
	e.resets("completed", http.StatusOK)
}

// resets has somebody set a new password with the mail that they have confirmed.
func (e *era) resets(who string, want int) {
	e.t.Helper()
	n := e.noted(who)
	e.as(who)
	e.client.Header.Set("Accept-Language", "en") // a thief may choose it
	e.post("account/password", "", stack.Object{"new_password": newPassword, "auth": stack.EmailAuth("", stack.Creds(n.SID, n.Secret))}, want)
}

// registers begins a registration, and accepts the terms or not.
func (e *era) registers(who string, terms bool) (body stack.Object, uia string) {
	e.t.Helper()
	e.as(who)
	body = stack.Object{"username": e.user(who), "password": oldPassword}
	uia = e.post("register", "", body, http.StatusUnauthorized).Text("session")
	if terms {
		body["auth"] = stack.Object{"type": "m.login.terms", "session": uia}
		e.post("register", "", body, http.StatusUnauthorized)
	}
	return body, uia
}

func (e *era) writeRegistrations() {
	_, _ = e.registers("pending", true)
	e.keep("pending", e.reads(e.asks("register", "pending")))
	_, uia := e.registers("held", false)
	n := e.asks("register", "held")
	names := e.hs.SessionNames()
	n.UIA, n.Inner = uia, names[len(names)-1]
	e.keep("held", n)
}

func (e *era) writeRefusals() {
	for i := range 3 { // as many as there may be
		n := note{Address: e.address("limited"), Secret: e.secret(fmt.Sprint("limited", i))}
		e.post("account/3pid/email/requestToken", "", mailTo(n), http.StatusOK)
		e.keep("limited", n)
	}
	cooled := e.reads(e.asks("account/3pid", "cooled"))
	e.presses(e.refuseLink(cooled.Address))
	e.keep("cooled", cooled)
	for who, kinds := range map[string][]string{"hard": {"HardBounce"}, "soft": {"SoftBounce", "SoftBounce", "SoftBounce", "SoftBounce", "SoftBounce"}, "complaint": {"SpamComplaint"}} {
		n := e.reads(e.asks("account/3pid", who))
		for i, kind := range kinds {
			e.postmark(n, kind, i)
		}
		e.keep(who, n)
	}
	e.admins("POST", "suppressions/add", stack.Object{"address": e.address("manual")}, http.StatusOK)
	mailgun := e.reads(e.asks("account/3pid", "mailgun"))
	if got := e.mailgun(mailgun, "first"); got != http.StatusOK {
		e.t.Fatalf("got status %d of Mailgun's report, want 200", got)
	}
	e.keep("mailgun", mailgun)
}

var anyRefusal = regexp.MustCompile(`https?://[^\s<>"]+/_threepid/refuse[^\s<>"]+`)

// refuseLink is that of the newest mail to an address.
func (g *golden) refuseLink(address string) (link string) {
	for _, m := range g.inbox.Messages() {
		if m.To == address {
			link = strings.TrimPrefix(anyRefusal.FindString(m.Text()), g.url())
		}
	}
	return link
}

// feedback posts a report of a provider.
func (e *era) feedback(provider string, body any, user, password string) int {
	e.t.Helper()
	raw, err := json.Marshal(body)
	must(e.t, err)
	req, err := http.NewRequestWithContext(e.t.Context(), http.MethodPost, e.url()+instance.FeedbackPath+provider, bytes.NewReader(raw))
	must(e.t, err)
	req.SetBasicAuth(user, password)
	resp, err := http.DefaultClient.Do(req)
	must(e.t, err, resp.Body.Close())
	return resp.StatusCode
}

func (e *era) postmark(n note, kind string, i int) {
	e.t.Helper()
	body := stack.Object{
		"RecordType": "Bounce", "ID": i, "Type": kind, "Email": n.Address, "BouncedAt": time.Now().UTC().Format(time.RFC3339Nano),
		"Details": "smtp;550 5.1.1 no such mailbox", "Metadata": stack.Object{"threepid-tag": n.Tag},
	}
	if got := e.feedback("postmark", body, "hook", "canary-hook-password"); got != http.StatusOK {
		e.t.Fatalf("got status %d of Postmark's report, want 200", got)
	}
}

// mailgun has a report come with the one token of the era.
func (e *era) mailgun(n note, id string) int {
	e.t.Helper()
	now, token := fmt.Sprint(goldenBegin.Unix()), "canary-mailgun-token-of-"+e.name
	mac := hmac.New(sha256.New, []byte(mailgunKey))
	mac.Write([]byte(now + token))
	return e.feedback("mailgun", stack.Object{
		"signature":  stack.Object{"timestamp": now, "token": token, "signature": hex.EncodeToString(mac.Sum(nil))},
		"event-data": stack.Object{"event": "failed", "id": id, "severity": "permanent", "timestamp": goldenBegin.Unix(), "recipient": n.Address, "user-variables": stack.Object{"threepid-tag": n.Tag}},
	}, "", "")
}

func (e *era) writePhones() {
	e.gateway.SetFault(func(m smstest.Message) int {
		if m.To == e.number(3) {
			return http.StatusServiceUnavailable
		}
		return 0
	})
	for i, who := range []string{"guessed", "texted", "unsent"} {
		e.as(who)
		n := note{Address: e.number(i + 1), Secret: e.secret(who)}
		n.SID = e.post("account/3pid/msisdn/requestToken", "", textTo(n), http.StatusOK).Text("sid")
		if who != "unsent" {
			m, err := e.gateway.WaitFor(e.t.Context(), n.Address)
			must(e.t, err)
			n.Code, _ = m.Code()
		}
		e.keep(who, n)
	}
	for range 2 {
		e.submits("guessed", "wrong", http.StatusBadRequest)
	}
	e.until("the try that failed", func() bool { return e.session(e.noted("unsent").SID).Delivery == "deferred" })
}

// submits has somebody type a code in.
func (e *era) submits(who, code string, want int) {
	e.t.Helper()
	n := e.noted(who)
	e.as(who)
	e.do("POST", "/_threepid/validate/msisdn/submitToken", "", stack.Object{"sid": n.SID, "client_secret": n.Secret, "token": code}, want)
}

func identityServerName() string { return fmt.Sprintf("localhost:%d", goldenPort) }

func (e *era) writeBinding() {
	e.as("bound")
	user := e.hs.AddUser(e.user("bound"), oldPassword, e.address("bound"))
	n := note{Address: e.address("bound"), Secret: e.secret("bound"), SID: "sid-of-" + e.name}
	e.is.AddToken("token-of-"+e.name, user)
	e.is.AddSession(fakeis.Session{SID: n.SID, ClientSecret: n.Secret, Medium: "email", Address: n.Address})
	token := e.login(e.user("bound"), oldPassword, http.StatusOK)
	e.post("account/3pid/bind", token, stack.Object{
		"client_secret": n.Secret, "sid": n.SID, "id_server": identityServerName(), "id_access_token": "token-of-" + e.name,
	}, http.StatusOK)
	e.keep("bound", n)
}

// writeMails leaves what a relay can do to a mail.
func (e *era) writeMails() {
	for _, mail := range []struct{ who, state string }{{"refused", "failed"}, {"deferred", "deferred"}, {"uncertain", "deferred"}, {"leased", "waiting"}} {
		n := e.asks("account/3pid", mail.who)
		e.until("what becomes of "+mail.who, func() bool { return e.session(n.SID).Delivery == mail.state })
		e.keep(mail.who, n)
	}
}

// writeFlights leaves what the homeserver is being asked about.
func (e *era) writeFlights() {
	const add, ask = "/_matrix/client/r0/account/3pid", "/_matrix/client/r0/account/3pid/email/requestToken"
	e.hs.Inject(1, fakehs.On("POST", ask), faults.Answering(http.StatusOK, "application/json", `{"sid":"foreign-`+e.name+`"}`))
	n := e.asks("account/3pid", "foreign")
	n.Nonce, _ = e.shown(ask)
	e.keep("foreign", n)

	e.hs.AddUser(e.user("alias"), oldPassword)
	token := e.login(e.user("alias"), oldPassword, http.StatusOK)
	n = e.reads(e.asks("account/3pid", "alias"))
	e.presses(n.Link)
	e.hang(add)
	e.inBackground("account/3pid", token, stack.Object{"three_pid_creds": stack.Creds(n.SID, n.Secret)})
	e.until("the completion", func() bool { n.Nonce, n.Alias = e.shown(add); return n.Alias != "" })
	e.keep("alias", n)

	e.as("nonce")
	n = note{Address: e.address("nonce"), Secret: e.secret("nonce")}
	before, _ := e.shown(ask)
	e.hang(ask)
	e.inBackground("account/3pid/email/requestToken", "", mailTo(n))
	e.until("the request", func() bool { n.Nonce, _ = e.shown(ask); return n.Nonce != before })
	e.keep("nonce", n)
}

// crowd is how many mails an outbox works on at once, with what it holds ready.
const crowd = 32

// writeCrowd leaves a mail that nobody has begun with.
func (e *era) writeCrowd() {
	if e.name != "three" {
		return
	}
	for i := range crowd { // until nobody is left to take another one
		e.asks("account/3pid", fmt.Sprintf("leased-%d", i))
	}
	e.keep("waiting", e.asks("account/3pid", "waiting"))
}

// hang has the homeserver never answer the next request.
func (g *golden) hang(path string) {
	g.hs.Inject(1, fakehs.On("POST", path), func(http.ResponseWriter, *http.Request, http.Handler) { select {} })
}

func (e *era) inBackground(path, token string, body any) {
	go func() { _, _ = e.client.Do(e.t.Context(), "POST", "/_matrix/client/v3/"+path, token, body) }() // it is never answered
}

// shown are the credentials of the newest request to the homeserver of a kind.
func (g *golden) shown(path string) (secret, sid string) {
	for _, r := range g.hs.Requests() {
		var body struct {
			ClientSecret string `json:"client_secret"`
			Creds        struct {
				ClientSecret string `json:"client_secret"`
				SID          string `json:"sid"`
			} `json:"three_pid_creds"`
		}
		if r.Method == "POST" && r.Path == path && json.Unmarshal(r.Body, &body) == nil {
			secret, sid = body.ClientSecret+body.Creds.ClientSecret, body.Creds.SID
		}
	}
	return secret, sid
}
