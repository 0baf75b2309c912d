// SPDX-License-Identifier: Apache-2.0

package caddymodule_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/caddy-threepid/caddy-threepid/caddymodule/admin"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/fakehs"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/fakeis"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/faults"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/stack"
)

func (g *golden) startOpenly()     { g.start(candid, gated) }
func (g *golden) startDiscreetly() { g.start() }

// startTexting waits for the texts that were not sent before: each is paid for again.
func (g *golden) startTexting() {
	g.startOpenly()
	g.until("the texts", func() bool { return len(g.gateway.All()) == len(g.eras()) })
}

// want compares.
func want[T comparable](e *era, what string, got, want T) {
	e.t.Helper()
	if got != want {
		e.t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

// sees runs do, and wants so many mails to an address to have come of it.
func (e *era) sees(mails int, address string, do func()) {
	e.t.Helper()
	before := e.received(address)
	do()
	want(e, "mails to "+address, e.received(address)-before, mails)
}

func (g *golden) received(address string) (n int) {
	for _, m := range g.inbox.Messages() {
		if m.To == address {
			n++
		}
	}
	return n
}

// newest is the newest mail to an address.
func (e *era) newest(address string) string {
	text := ""
	for _, m := range e.inbox.Messages() {
		if m.To == address {
			text = m.Subject() + "\n" + m.Text()
		}
	}
	return strings.Join(strings.Fields(text), " ")
}

func (e *era) showRepeated() {
	n := e.noted("added")
	e.sees(0, n.Address, func() { want(e, "sid", e.asks("account/3pid", "added").SID, n.SID) })
	want(e, "sends", e.session(n.SID).Sends, 1)
}

func (e *era) showOpen() {
	const told = "noch eine solche Anfrage offen"
	e.as("added")
	n := note{Address: e.address("added"), Secret: e.secret("rival")}
	n.SID = e.post("account/3pid/email/requestToken", "", mailTo(n), http.StatusOK).Text("sid")
	e.reads(n)
	want(e, "told of another one", strings.Contains(e.newest(n.Address), told), true)
	e.reads(e.asks("account/3pid", "alone"))
	want(e, "told of another one where there is none", strings.Contains(e.newest(e.address("alone")), told), false)
}

func (e *era) showPending() {
	n := e.noted("pending")
	body, uia := e.registers("pending", true)
	body["auth"] = stack.EmailAuth(uia, stack.Creds(n.SID, n.Secret))
	e.post("register", "", body, http.StatusUnauthorized)
	e.presses(n.Link)
	e.post("register", "", body, http.StatusOK)
	want(e, "address", fmt.Sprint(e.hs.Emails(e.user("pending"))), fmt.Sprint([]string{n.Address}))
	body, uia = e.registers("again", true)
	body["auth"] = stack.EmailAuth(uia, stack.Creds(n.SID, n.Secret))
	e.post("register", "", body, http.StatusUnauthorized)
	want(e, "second account", e.hs.HasUser(e.user("again")), false)
}

// joins makes an account and logs in.
func (e *era) joins(who string, emails ...string) (token string) {
	e.t.Helper()
	e.as(who)
	e.hs.AddUser(e.user(who), oldPassword, emails...)
	return e.login(e.user(who), oldPassword, http.StatusOK)
}

// adds completes a session by adding its address.
func (e *era) adds(token string, n note, want int) {
	e.t.Helper()
	e.post("account/3pid", token, stack.Object{"three_pid_creds": stack.Creds(n.SID, n.Secret)}, want)
}

func (e *era) showAdded() {
	n, token := e.noted("added"), e.joins("added")
	e.adds(token, n, http.StatusBadRequest)
	e.presses(n.Link)
	e.adds(token, n, http.StatusOK)
	want(e, "address", fmt.Sprint(e.hs.Emails(e.user("added"))), fmt.Sprint([]string{n.Address}))
	e.adds(e.joins("thief"), n, http.StatusBadRequest)
	want(e, "address of somebody else", len(e.hs.Emails(e.user("thief"))), 0)
}

func (e *era) showValidated() {
	n := e.noted("validated")
	e.joins("validated", n.Address)
	e.resets("validated", http.StatusOK)
	e.login(e.user("validated"), newPassword, http.StatusOK)
	e.until("the notice", func() bool { return e.newest(n.Address) != "" })
	want(e, "German notice", strings.Contains(e.newest(n.Address), "wurde zurückgesetzt"), true)
	e.resets("validated", http.StatusUnauthorized)
}

func (e *era) showCompleted() {
	e.joins("completed", e.address("completed"))
	e.resets("completed", http.StatusUnauthorized)
	want(e, "password as it was", e.hs.CheckPassword(e.user("completed"), oldPassword), true)
	want(e, "state", e.session(e.noted("completed").SID).State, "consumed")
}

// face sends a request to the homeserver's side, as the homeserver does.
func (e *era) face(method, path, body string) (status int, answer stack.Object) {
	e.t.Helper()
	req, err := http.NewRequestWithContext(e.t.Context(), method, "https://"+e.identityName()+"/_matrix/identity/api/v1/"+path, strings.NewReader(body))
	must(e.t, err)
	resp, err := lazyRoots{e.t}.RoundTrip(req)
	must(e.t, err)
	must(e.t, json.NewDecoder(resp.Body).Decode(&answer), resp.Body.Close())
	return resp.StatusCode, answer
}

func (e *era) showAlias() {
	n := e.noted("alias")
	ask := "3pid/getValidated3pid?" + url.Values{"sid": {n.Alias}, "client_secret": {n.Nonce}}.Encode()
	e.adds(e.joins("alias"), n, http.StatusBadRequest) // it is in use
	for range 2 {
		_, proof := e.face("GET", ask, "")
		want(e, "proof", proof["address"], any(n.Address))
	}
	_, none := e.face("GET", ask+"x", "")
	want(e, "proof without the secret", none["address"], nil)
}

func (e *era) showNonce() {
	n := e.noted("nonce")
	e.sees(1, n.Address, func() {
		for range 2 {
			status, answer := e.face("POST", "validate/email/requestToken", fmt.Sprintf(`{"client_secret":%q,"email":%q,"send_attempt":1}`, n.Nonce, n.Address))
			if status != http.StatusOK {
				e.t.Fatalf("got status %d to the call with the nonce, want 200", status)
			}
			sid := fmt.Sprint(answer["sid"])
			want(e, "another sid", n.SID != "" && n.SID != sid, false)
			n.SID = sid
		}
		e.reads(n)
	})
	want(e, "sid for its client", e.asks("account/3pid", "nonce").SID, n.SID)
}

func (e *era) showForeign() {
	const add = "/_matrix/client/r0/account/3pid"
	n := e.noted("foreign")
	e.hs.Inject(1, fakehs.On("POST", add), faults.Answering(http.StatusOK, "application/json", "{}"))
	e.adds(e.joins("foreign"), note{SID: "foreign-" + e.name, Secret: n.Secret}, http.StatusOK)
	secret, sid := e.shown(add)
	want(e, "what the homeserver is shown", secret+" "+sid, n.Nonce+" foreign-"+e.name)
}

// asksToRegister asks for a mail as a browser that has a registration, or none.
func (e *era) asksToRegister(browser, who string, want int) (sid string) {
	e.t.Helper()
	e.as(browser)
	n := note{Address: e.address(who), Secret: e.secret(who)}
	return e.post("register/email/requestToken", "", mailTo(n), want).Text("sid")
}

func (e *era) showTied() {
	e.asksToRegister("stranger", "stray", http.StatusForbidden)
	n := note{Address: e.address("tied"), Secret: e.secret("tied")}
	n.SID = e.asksToRegister("held", "held-too", http.StatusOK)
	want(e, "held at an early stage", e.session(n.SID).Held, true)
}

func (e *era) showHeld() {
	n := e.noted("held")
	e.as("held")
	e.sees(0, n.Address, func() { want(e, "sid", e.asks("register", "held").SID, n.SID) })
	answer, err := json.Marshal(stack.Object{
		"session": n.Inner, "completed": []string{"m.login.terms"}, "params": stack.Object{},
		"flows": []stack.Object{{"stages": []string{"m.login.terms", "m.login.email.identity"}}},
	})
	must(e.t, err)
	for range 2 {
		e.hs.Inject(1, fakehs.On("POST", "/_matrix/client/r0/register"), faults.Answering(http.StatusUnauthorized, "application/json", string(answer)))
		e.post("register", "", stack.Object{"auth": stack.Object{"type": "m.login.terms", "session": n.UIA}}, http.StatusUnauthorized)
	}
	e.presses(e.reads(n).Link)
}

func (e *era) showLimited() {
	e.as("limited")
	n := note{Address: e.address("limited"), Secret: e.secret("one-too-many")}
	e.sees(0, n.Address, func() { e.post("account/3pid/email/requestToken", "", mailTo(n), http.StatusTooManyRequests) })
	want(e, "requests that count", e.uses(n.Address, "address"), 3)
}

// uses is how far an address has used up a limit.
func (e *era) uses(address, limit string) int {
	e.t.Helper()
	for _, l := range e.finds(address).Limits {
		if l.Limit == limit {
			return l.Used
		}
	}
	return 0
}

func (e *era) showCooled() {
	e.as("cooled")
	n := note{Address: e.address("cooled"), Secret: e.secret("careless")}
	e.sees(0, n.Address, func() { e.post("account/3pid/email/requestToken", "", mailTo(n), http.StatusTooManyRequests) })
	until := e.finds(n.Address).Unwanted
	want(e, "end of it in 24 hours", until != nil && until.After(time.Now().Add(23*time.Hour)), true)
}

func (e *era) showSuppressed() {
	list := e.admins("GET", "suppressions", nil, http.StatusOK).Body
	for who, reason := range map[string]string{"hard": "bounce", "soft": "soft", "complaint": "complaint", "manual": "manual", "mailgun": "bounce"} {
		found := e.finds(e.address(who))
		want(e, who+" is found", found.Suppressed != nil && found.Suppressed.Reason == reason, true)
		want(e, who+" is listed", strings.Contains(list, found.Pseudonym), true)
		n := e.asksAnew(who)
		e.sees(0, n.Address, func() {
			e.until("the end of the mail", func() bool { return e.session(n.SID).Delivery == "failed" })
		})
	}
}

// asksAnew has somebody ask in another session.
func (e *era) asksAnew(who string) note {
	e.t.Helper()
	e.as(who)
	n := note{Address: e.address(who), Secret: e.secret(who + "-anew")}
	n.SID = e.post("account/3pid/email/requestToken", "", mailTo(n), http.StatusOK).Text("sid")
	return n
}

func (e *era) showGuarded() {
	n := e.noted("mailgun")
	want(e, "another report with the token", e.mailgun(n, "second"), http.StatusForbidden)
	want(e, "the same report", e.mailgun(n, "first"), http.StatusOK)
}

func (e *era) showGuessed() {
	n := e.noted("guessed")
	want(e, "tries", e.session(n.SID).Tries, 2)
	want(e, "wrong codes", e.uses("+"+n.Address, "codes"), 2)
	for range 3 {
		e.submits("guessed", "000000x", http.StatusBadRequest)
	}
	want(e, "state", e.session(n.SID).State, "revoked")
	want(e, "wrong codes", e.uses("+"+n.Address, "codes"), 5)
	e.submits("guessed", n.Code, http.StatusBadRequest)
}

// reach is how many more numbers a client may reach: it has reached three of ten.
const reach = 7

func (e *era) showCounted() {
	want(e, "messages", e.uses("+"+e.number(1), "number"), 1)
	var spent admin.PhoneStatus
	must(e.t, json.Unmarshal([]byte(e.admins("GET", "sms", nil, http.StatusOK).Body), &spent))
	country := map[string]string{"one": "GB", "two": "DE", "three": "FR"}[e.name]
	used := map[string]string{}
	for _, b := range spent.Budgets {
		used[b.Of] = b.Used
	}
	// Three each, and one that was tried again.
	want(e, "messages in all", used["total"], fmt.Sprint(12+reach*(e.key-1)))
	want(e, "messages to "+country, used[country], "4")
	sent := int64(0)
	for _, c := range spent.Conversion {
		if c.Country == country {
			sent += c.Sent
		}
	}
	want(e, "codes to "+country, sent, 3)

	for i := range reach + 1 {
		e.as("crowd")
		n := note{Address: e.number(10 + i), Secret: e.secret(fmt.Sprint("crowd", i))}
		status := http.StatusOK
		if i == reach {
			status = http.StatusTooManyRequests
		}
		e.post("account/3pid/msisdn/requestToken", "", textTo(n), status)
	}
}

func (e *era) showTexted() {
	n := e.noted("texted")
	e.submits("texted", n.Code, http.StatusOK)
	e.adds(e.joins("texted"), n, http.StatusOK)
	want(e, "number", fmt.Sprint(e.hs.Threepids(e.user("texted"))), fmt.Sprint([]string{"msisdn " + n.Address}))
}

func (e *era) showBound() {
	n := e.noted("bound")
	token := e.joins("bound", n.Address)
	user := "@" + e.user("bound") + ":example.test"
	e.is.AddSession(fakeis.Session{SID: n.SID, ClientSecret: n.Secret, Medium: "email", Address: n.Address})
	e.is.SetBinding("email", n.Address, user)
	for _, result := range []string{"success", "no-support"} {
		answer := e.post("account/3pid/unbind", token, stack.Object{"medium": "email", "address": n.Address}, http.StatusOK)
		want(e, "unbinding", answer.Text("id_server_unbind_result"), result)
		want(e, "binding", e.is.Lookup("email", n.Address), "")
	}
}

func (e *era) showDelivered() {
	for who, state := range map[string]string{"added": "sent", "hard": "bounced", "soft": "sent", "complaint": "complained", "refused": "failed"} {
		want(e, who, fmt.Sprint(e.outcomes(who)), fmt.Sprint([]string{state}))
	}
	for who, reply := range map[string]string{"refused": "550", "deferred": "451"} {
		want(e, "reply to "+who, strings.Contains(e.finds(e.address(who)).Messages[0].Reply, reply), true)
	}
}

func (e *era) showExplained() {
	e.hs.AddUser(e.user("owner"), oldPassword, e.address("taken"))
	e.sees(0, e.address("taken"), func() {
		e.asksInVain(e.secret("taken-anew"))
		e.until("the end of the mail", func() bool { return slices.Equal(e.outcomes("taken"), []string{"sent", "sent"}) })
	})
	want(e, "it is a decoy", e.finds(e.address("taken")).Messages[1].Decoy, true)
}
