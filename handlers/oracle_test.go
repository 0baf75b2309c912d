// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/caddy-threepid/caddy-threepid/handlers/internal/route"
	"github.com/caddy-threepid/caddy-threepid/handlers/internal/wire"
	web "github.com/caddy-threepid/caddy-threepid/handlers/pages"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// move is one step of a history: what a requester does, or time, or what the
// reader of the mail does with a message, if they have got it.
type move struct {
	Kind    string
	Purpose string
	Medium  threepid.Medium
	Secret  string
	Other   bool // about another address, which is nobody's
	Attempt int
	Nth     int
	Variant int
	Wait    time.Duration
	Weather weather
}

var moveKinds = []string{
	"ask", "ask", "ask", "wait", "wait", "submit", "form", "page", "help", "watch", "complete", "refuse wrongly",
	"reader refuses", "reader opens", "weather", "edge", "begin", "captcha",
}

// drawMoves draws a history, most of which is about the same few things: that is
// where one step can show what came of another.
func drawMoves(t *rapid.T) []move {
	purposes := rapid.SliceOfN(rapid.SampledFrom([]string{"register", "account/password", "account/3pid"}), 1, 2).Draw(t, "purposes")
	media := rapid.SliceOfN(rapid.SampledFrom([]threepid.Medium{threepid.Email, threepid.Email, threepid.MSISDN}), 1, 2).Draw(t, "media")
	one := rapid.Custom(func(t *rapid.T) move { return drawMove(t, purposes, media) })
	return rapid.SliceOfN(one, 5, 40).Draw(t, "history")
}

func drawMove(t *rapid.T, purposes []string, media []threepid.Medium) move {
	return move{
		Kind:    rapid.SampledFrom(moveKinds).Draw(t, "kind"),
		Purpose: rapid.SampledFrom(purposes).Draw(t, "purpose"),
		Medium:  rapid.SampledFrom(media).Draw(t, "medium"),
		Secret:  rapid.SampledFrom([]string{"one", "two", "three"}).Draw(t, "secret"),
		Other:   rapid.IntRange(0, 5).Draw(t, "other") == 0,
		Attempt: rapid.IntRange(0, 4).Draw(t, "attempt"),
		Nth:     rapid.IntRange(0, 7).Draw(t, "nth"),
		Variant: rapid.IntRange(0, 6).Draw(t, "variant"),
		Wait: rapid.SampledFrom([]time.Duration{
			17 * time.Millisecond, 400 * time.Millisecond, 2 * time.Second, 9 * time.Second, time.Minute, 16 * time.Minute, 61 * time.Minute,
			5 * time.Hour, 12 * time.Hour, 24 * time.Hour,
		}).Draw(t, "wait"),
		Weather: rapid.SampledFrom(weathers).Draw(t, "weather"),
	}
}

// play makes one step. What the reader does is not noted: it is what comes of it
// that must not be seen.
func (q *requester) play(m move) {
	switch m.Kind {
	case "ask":
		q.request(m)
	case "wait":
		time.Sleep(m.Wait)
	case "submit":
		q.guess(m)
	case "form":
		q.guessOnPage(m)
	case "page", "help":
		q.look(m)
	case "watch":
		q.watch(m)
	case "weather":
		q.change(m.Weather)
	case "edge":
		q.untilEdge(m)
	case "begin", "captcha":
		q.signUp(m)
	case "complete":
		q.useUp(m)
	case "refuse wrongly":
		s := q.about(m.Nth)
		q.send("refuse", "GET", "/_threepid/refuse?sid="+s.sid+"&refusal=wrong", "")
	case "reader refuses", "reader opens":
		q.read(m)
	}
}

func (q *requester) request(m move) {
	q.asked = time.Now()
	next := ""
	if m.Purpose == "register" && q.uia != "" {
		next = `,"next_link":"https://app.example.org/#/register?session_id=` + q.uia + `"`
	}
	body := fmt.Sprintf(`{"client_secret":%q,"email":%q,"send_attempt":%d%s}`, m.Secret, map[bool]string{false: "who@x.org", true: "nobody@x.org"}[m.Other], m.Attempt, next)
	if m.Medium == threepid.MSISDN {
		body = phoneBody(m.Secret, "GB", map[bool]string{false: "07400123456", true: "07400123457"}[m.Other], m.Attempt)
	}
	var header []string
	if m.Variant == 0 {
		header = []string{"Authorization", "Bearer " + q.token}
	}
	rec := q.send(fmt.Sprintf("ask %+v", m), "POST", "/_matrix/client/v3/"+m.Purpose+"/"+string(m.Medium)+"/requestToken", body, header...)
	var answer struct {
		SID string `json:"sid"`
	}
	if json.Unmarshal(rec.Body.Bytes(), &answer) == nil && answer.SID != "" {
		q.sids = append(q.sids, knownSID{answer.SID, m.Secret, m.Medium})
	}
}

// signUp begins a registration or completes the stage before that of the address,
// which is what messages may be held for.
func (q *requester) signUp(m move) {
	body := `{"username":"new","password":"pw"}`
	if m.Kind == "captcha" && q.uia != "" {
		body = fmt.Sprintf(`{"auth":{"type":"m.login.recaptcha","session":%q,"response":"solved"}}`, q.uia)
	}
	var answer struct {
		Session string `json:"session"`
	}
	rec := q.send(m.Kind, "POST", "/_matrix/client/v3/register", body)
	if json.Unmarshal(rec.Body.Bytes(), &answer) == nil && answer.Session != "" {
		q.uia = answer.Session
	}
}

// untilEdge waits until the last thing that was asked for is about to end, and looks
// when it does.
func (q *requester) untilEdge(m move) {
	if q.asked.IsZero() {
		return
	}
	life := []time.Duration{time.Hour, 24 * time.Hour}[m.Variant%2]
	time.Sleep(time.Until(q.asked.Add(life)))
	m.Kind, m.Variant, m.Nth = "help", 0, max(0, len(q.sids)-1)
	for range 12 {
		q.look(m)
		time.Sleep(5 * time.Millisecond)
	}
}

// wrongly is a client_secret that is wrong now and then.
func (m move) wrongly(s knownSID) string {
	if m.Variant == 6 {
		return "wrong"
	}
	return s.secret
}

func (q *requester) guess(m move) {
	s := q.about(m.Nth)
	q.send(fmt.Sprintf("submit %d", m.Nth), "POST", route.PagePath(s.medium), submitBody(s.sid, m.wrongly(s), "no code"))
}

func (q *requester) guessOnPage(m move) {
	s := q.about(m.Nth)
	target := route.PagePath(s.medium) + "?" + url.Values{"sid": {s.sid}, "client_secret": {s.secret}}.Encode()
	form := fields(q.send(fmt.Sprintf("form %d", m.Nth), "GET", target, ""))
	form.Set("sid", s.sid)
	form.Set("token", "12345") // no code has five digits
	time.Sleep(2 * time.Second)
	q.send(fmt.Sprintf("press %d", m.Nth), "POST", route.PagePath(s.medium), form.Encode(), "Content-Type", "application/x-www-form-urlencoded")
}

func (q *requester) look(m move) {
	s := q.about(m.Nth)
	query := url.Values{"sid": {s.sid}, "client_secret": {m.wrongly(s)}}
	if m.Kind == "help" {
		query.Set("help", "1")
	} else if m.Variant%2 == 0 {
		query.Set("token", "123456")
	}
	if m.Variant == 5 {
		query.Del("client_secret")
	}
	method := map[bool]string{false: "GET", true: "HEAD"}[m.Variant == 4]
	q.send(fmt.Sprintf("%s %d", m.Kind, m.Nth), method, route.PagePath(s.medium)+"?"+query.Encode(), "")
}

// watch looks again and again at what became of the newest message.
func (q *requester) watch(m move) {
	m.Kind, m.Nth = "help", max(0, len(q.sids)-1)
	for range 15 {
		q.look(m)
		time.Sleep(300 * time.Millisecond)
	}
}

// useUp tries one of the ways to use a session.
func (q *requester) useUp(m move) {
	s := q.about(m.Nth)
	creds := fmt.Sprintf(`{"sid":%q,"client_secret":%q}`, s.sid, m.wrongly(s))
	stage := map[threepid.Medium]string{threepid.Email: wire.StageEmail, threepid.MSISDN: wire.StageMSISDN}[s.medium]
	auth := fmt.Sprintf(`{"type":%q,"threepid_creds":%s}`, stage, creds)
	ways := []struct{ path, body string }{
		{"r0/register", `{"username":"new","password":"pw","auth":` + auth + `}`},
		{"v3/account/password", `{"new_password":"pw","auth":` + auth + `}`},
		{"r0/account/3pid", `{"three_pid_creds":` + creds + `}`},
		{"v3/account/3pid/add", fmt.Sprintf(`{"sid":%q,"client_secret":%q,"auth":%s}`, s.sid, s.secret, passwordAuth("", "secret"))},
		{"v3/delete_devices", `{"devices":[],"auth":` + auth + `}`},
	}
	way := ways[m.Attempt%len(ways)]
	header := []string{}
	if m.Variant%2 == 0 {
		header = []string{"Authorization", "Bearer " + q.token}
	}
	q.send(fmt.Sprintf("complete %d at %s", m.Nth, way.path), "POST", "/_matrix/client/"+way.path, way.body, header...)
}

// read is the reader of the mail with one of their messages: they say that it was
// not theirs, or a scanner of theirs opens its links. If they confirm it, whoever
// asked for it is told so; that is what it is for, and not part of this.
func (q *requester) read(m move) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		if got := q.inbox(); m.Nth < len(got) {
			q.readOne(m, got[m.Nth])
		}
	}()
	time.Sleep(time.Second) // whether or not there was one
	<-done
}

func (q *requester) readOne(m move, mail verification.Message) {
	target := route.RefusePath + "?" + url.Values{"sid": {string(mail.SID)}, "refusal": {string(mail.Refusal)}}.Encode()
	if m.Kind == "reader opens" {
		q.do("GET", target, "")
		q.do("GET", route.PagePath(mail.Medium)+"?"+url.Values{"sid": {string(mail.SID)}, "token": {string(mail.Token)}}.Encode(), "")
		return
	}
	q.do("POST", target, "List-Unsubscribe=One-Click", "Content-Type", "application/x-www-form-urlencoded")
}

// see plays a history and returns what the requester has seen of it.
func see(t *testing.T, opts oracleOptions, history []move) (notes []string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newOracleWorld(t, opts)
		q := &requester{oracleWorld: w, names: map[string]int{}}
		q.token = q.login("alice", "secret")
		for _, m := range history {
			q.play(m)
		}
		notes = append(q.notes, fmt.Sprintf("paid for %d messages", q.purse.spent()))
	})
	return notes
}

// difference is the first one, or empty.
func difference(owned, free []string) string {
	for i := range min(len(owned), len(free)) {
		if owned[i] == free[i] {
			continue
		}
		a, b := strings.Split(owned[i], "\n"), strings.Split(free[i], "\n")
		n := 0
		for n < min(len(a), len(b))-1 && a[n] == b[n] {
			n++
		}
		return fmt.Sprintf("answer %d, to %s, line %d: %q where an account has the address, %q where none has it", i, a[0], n+1, a[n], b[n])
	}
	if len(owned) != len(free) {
		return fmt.Sprintf("%d and %d answers", len(owned), len(free))
	}
	return ""
}

// TestF15_RequesterSeesNothing: whatever somebody does who has only what they
// have asked with and what they were answered, whatever becomes of the messages,
// and whatever their reader thinks of them: all that they see, to the byte and to
// the nanosecond, is the same whether an account has the address or not.
func TestF15_RequesterSeesNothing(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		code := rapid.Bool().Draw(rt, "code")
		gate := rapid.SampledFrom([]Gate{GateOff, GateOffered, GateCompleted}).Draw(rt, "gate")
		opts := oracleOptions{weather: rapid.SampledFrom(weathers).Draw(rt, "weather"), config: func(c *Config) {
			c.Callback, c.RegistrationGate = true, gate
			c.NextLinkOrigins = []string{"https://app.example.org"}
			if code {
				c.Proof = verification.ProofCode
			}
		}}
		history := drawMoves(rt)
		owned := opts
		owned.owned = true
		if found := difference(see(t, owned, history), see(t, opts, history)); found != "" {
			rt.Fatal(found)
		}
	})
}

// TestF15_FourteenTargets is the attack that was carried out: five resets asked for
// each of fourteen addresses, and the help page read until it says something else.
// Of a message that only seems to be sent it did so after a time that was too
// regular, which told all fourteen.
func TestF15_FourteenTargets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newOracleWorld(t, oracleOptions{weather: relayJittery, config: callback.config})
		q := &requester{oracleWorld: w, names: map[string]int{}}
		owned := func(i int) bool { return i%3 != 1 }
		seen, right := map[string]bool{}, 0
		for i := range 14 {
			name := fmt.Sprintf("target%d", i)
			if owned(i) {
				w.hs.AddUser(name, "secret", name+"@x.org")
			}
			var times []time.Duration
			for n := range 5 {
				secret := fmt.Sprint("s", n)
				times = append(times, q.untilTold(w.request("account/password", secret, name+"@x.org"), secret))
			}
			if regular(times[1:]) == owned(i) {
				t.Logf("%s, owned %v: the help page changed after %v", name, owned(i), times)
			} else {
				right++
			}
			seen[fmt.Sprint(times)] = true
			time.Sleep(10 * time.Minute) // no limit is to help
		}
		if len(seen) != 1 {
			t.Errorf("%d of 14 guesses are right, by %d different sights, want one for all", right, len(seen))
		}
	})
}

// untilTold is how long it takes until the help page says something else, or zero.
func (q *requester) untilTold(sid, secret string) time.Duration {
	page := func() string {
		return q.do("GET", route.PagePath(threepid.Email)+"?"+web.HelpQuery(verification.Submission{SID: threepid.SID(sid), ClientSecret: new(threepid.ClientSecret(secret))}), "").Body.String()
	}
	start := time.Now()
	first := page()
	for time.Since(start) < 3200*time.Millisecond {
		time.Sleep(50 * time.Millisecond)
		if page() != first {
			return time.Since(start)
		}
	}
	return 0
}

// regular reports whether times are so alike that nothing was sent.
func regular(times []time.Duration) bool {
	return slices.Max(times)-slices.Min(times) < 150*time.Millisecond
}
