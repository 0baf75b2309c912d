// SPDX-License-Identifier: Apache-2.0

package adversary

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"pgregory.net/rapid"

	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// account is one of the homeserver's, with what its owner knows.
type account struct {
	name, password, token string
}

func (a *account) id() string { return "@" + a.name + ":" + serverName }

// proof is one validation session: what a click on its mail is worth.
type proof struct {
	sid, secret, address string
	purpose              verification.Purpose
	attackers            bool // the attacker knows it, having asked for it
	confirmed            time.Time
	spent                bool // something was paid for with it
}

// name is what an answer has once told as the session of an authentication.
type name struct {
	text     string
	endpoint string // where
	around   bool   // past us: it is one of the homeserver's own
	proven   bool   // a stage was complete
	seen     time.Time
}

// world is one run: the people, and all that the attacker has learnt.
type world struct {
	*rapid.T
	s              *site
	elsewhere      *site // the attacker's own site, with other keys
	elsewhereToken string
	tag            string

	victim   *account
	accounts []*account // the attacker's
	proofs   []*proof
	names    []name
	made     int  // for names of accounts and secrets
	added    bool // the victim has the second address, too

	judge  judge
	told   []string // what was done, for the report
	counts *counts
}

// The mailboxes. The victim reads the first two, the attacker the others; the second
// of each belongs to no account at first.
func (w *world) victims() []string {
	return []string{w.tag + "v1@example.org", w.tag + "v2@example.org"}
}

func (w *world) attackers() []string {
	return []string{w.tag + "m1@example.org", w.tag + "m2@example.org"}
}

func (w *world) fresh(prefix string) string {
	w.made++
	return fmt.Sprintf("%s%s%d", w.tag, prefix, w.made)
}

func (w *world) tell(format string, args ...any) {
	w.told = append(w.told, fmt.Sprintf(format, args...))
}

// index draws one of n. Rapid prefers small numbers, and by them it shortens a run;
// for what was not shortened yet, all n should be as likely as each other.
func (w *world) index(label string, n int) int {
	drawn := uint64(rapid.Uint32().Draw(w.T, label))
	return int(drawn * 0x9e3779b97f4a7c15 >> 33 % uint64(n))
}

// pick draws one of several; the first is the plainest.
func pick[T any](w *world, label string, from ...T) T { return from[w.index(label, len(from))] }

// often is true once in n times, and never in the shortest run.
func (w *world) often(label string, n int) bool { return w.index(label, n) == n-1 }

// paths of purposes, below the version.
var tails = map[verification.Purpose]string{
	verification.Register: "register", verification.Password: "account/password", verification.Add: "account/3pid",
}

// ask opens a validation session; its proof is nil if it was refused.
func (w *world) ask(purpose verification.Purpose, address string, node int) *proof {
	secret := w.fresh("s")
	body, _ := json.Marshal(map[string]any{"client_secret": secret, "email": address, "send_attempt": 1})
	got := w.s.send(request{
		method: "POST", target: "/_matrix/client/r0/" + tails[purpose] + "/email/requestToken", body: string(body), node: node,
	})
	var told struct {
		SID string `json:"sid"`
	}
	if json.Unmarshal([]byte(got.body), &told) != nil || got.status != 200 || told.SID == "" {
		return nil
	}
	p := &proof{sid: told.SID, secret: secret, address: address, purpose: purpose}
	w.proofs = append(w.proofs, p)
	return p
}

// click confirms a session by its mail, as the reader of the mailbox.
func (w *world) click(p *proof) bool {
	i := slices.IndexFunc(w.s.box.Mails(), func(m verification.Message) bool { return m.SID == p.sid && !m.Decoy })
	if i < 0 || !p.confirmed.IsZero() {
		return false
	}
	_, err := w.s.nodes[1].svc.Submit(context.Background(), verification.Submission{SID: p.sid, Token: w.s.box.Mails()[i].Token})
	if err == nil {
		p.confirmed = w.s.clock.Now()
	}
	return err == nil
}

// What the attacker and the victim do besides calls, and how time passes.

// attackerAsks opens a session for any purpose and address.
func (w *world) attackerAsks(*rapid.T) {
	purpose := pick(w, "purpose", verification.Register, verification.Password, verification.Add)
	address := pick(w, "address", append(w.victims(), w.attackers()...)...)
	p := w.ask(purpose, address, w.node())
	w.tell("the attacker asks for a mail: %s %s -> %t", purpose, address, p != nil)
	if p == nil {
		return
	}
	p.attackers = true
	if !w.often("later", 3) {
		w.attackerClicks(nil)
		w.victimReads(nil)
	}
}

// attackerClicks confirms what is in the attacker's own mailboxes.
func (w *world) attackerClicks(*rapid.T) {
	for _, p := range w.proofs {
		if slices.Contains(w.attackers(), p.address) && w.click(p) {
			w.tell("the attacker confirms %s %s", p.purpose, p.address)
		}
	}
}

// victimReads clicks what is in the victim's mailboxes, but for a new password that
// they have not asked for.
func (w *world) victimReads(*rapid.T) {
	for _, p := range w.proofs {
		if !slices.Contains(w.victims(), p.address) || (p.attackers && p.purpose == verification.Password) {
			continue
		}
		if w.click(p) {
			w.tell("the victim confirms %s %s", p.purpose, p.address)
		}
	}
}

// victimResets is the victim's own new password, from beginning to end.
func (w *world) victimResets(*rapid.T) {
	p := w.ask(verification.Password, w.victims()[0], w.node())
	if p == nil || !w.click(p) {
		return
	}
	password := w.fresh("victim")
	w.tell("the victim sets a new password")
	auth := w.spelled(p, "threepid_creds", "threepidCreds")
	auth["type"] = "m.login.email.identity"
	w.victimSends(request{
		method: "POST", target: "/_matrix/client/" + w.known() + "/account/password", node: w.node(),
		body: text(map[string]any{"new_password": password, "auth": auth}),
	}, func() { w.victim.password = password })
	w.logIn(w.victim)
}

// victimAdds gives the second address to the victim's account.
func (w *world) victimAdds(*rapid.T) {
	w.tell("the victim adds the second address")
	if w.add(w.victim, w.victims()[1]) {
		w.added = true
	}
}

// add gives an address to an account, from beginning to end.
func (w *world) add(a *account, address string) (done bool) {
	p := w.ask(verification.Add, address, w.node())
	if p == nil || !w.click(p) {
		return false
	}
	w.victimSends(request{
		method: "POST", target: "/_matrix/client/" + w.known() + "/account/3pid", token: a.token, node: w.node(),
		body: text(w.spelled(p, "three_pid_creds", "threePidCreds")),
	}, func() { done = true })
	return done
}

// known is a version that the homeserver has, and we translate to.
func (w *world) known() string { return pick(w, "version", "r0", "unstable", "v3") }

// spelled are the credentials of a proof, under one of its names or both, in one of the
// ways in which clients have written them.
func (w *world) spelled(p *proof, names ...string) map[string]any {
	creds := map[string]any{"sid": p.sid, pick(w, "name of the secret", "client_secret", "clientSecret"): p.secret}
	if name := pick(w, "name of the server", "", "id_server", "idServer"); name != "" {
		creds[name] = w.s.identity
	}
	holder := map[string]any{}
	for _, name := range pick(w, "names", names[:1], names[1:], names) {
		holder[name] = creds
	}
	return holder
}

func text(body map[string]any) string {
	raw, _ := json.Marshal(body) // of strings
	return string(raw)
}

func (w *world) victimSends(r request, done func()) {
	got := w.s.send(r)
	w.tell("  -> %d %.200s", got.status, got.body)
	if got.status == 200 {
		done()
	}
	w.judge.victimDid(w, r, got)
}

// logIn gets an account a token.
func (w *world) logIn(a *account) bool { return w.logInAt(w.s, a) }

func (w *world) logInAt(s *site, a *account) bool {
	body := fmt.Sprintf(`{"type":"m.login.password","user":%q,"password":%q}`, a.name, a.password)
	got := s.send(request{method: "POST", target: "/_matrix/client/r0/login", body: body, around: true})
	var told struct {
		Token string `json:"access_token"`
	}
	if json.Unmarshal([]byte(got.body), &told) != nil || told.Token == "" {
		return false
	}
	a.token = told.Token
	return true
}

// attackerLogsIn gets the attacker's accounts new tokens.
func (w *world) attackerLogsIn(*rapid.T) {
	for _, a := range w.accounts {
		w.logIn(a)
	}
}

// timePasses moves the clocks.
func (w *world) timePasses(*rapid.T) {
	by := pick(w, "time", time.Minute, 10*time.Minute, 50*time.Minute, 2*time.Hour, 23*time.Hour, 47*time.Hour, 50*time.Hour)
	w.s.clock.now = w.s.clock.now.Add(by)
	w.elsewhere.clock.now = w.s.clock.now
	w.tell("%s pass", by)
}

// operatorActs is what happens to the site.
func (w *world) operatorActs(*rapid.T) {
	what := pick(w, "operator", "restart", "reload", "back up", "restore", "rotate", "rotate", "lose the store", "lose store and keys")
	w.tell("the operator: %s", what)
	switch what {
	case "restart", "reload": // a reload keeps the store, and makes the rest anew
		w.s.restart()
	case "back up":
		w.s.backUp()
	case "restore":
		w.s.restore()
	case "rotate":
		w.s.rotate()
	case "lose the store":
		w.s.loseStore()
	default:
		w.s.loseAll()
	}
}

func (w *world) node() int { return w.index("node", 2) }
