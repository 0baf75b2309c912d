// SPDX-License-Identifier: Apache-2.0

package adversary

import (
	"encoding/json"
	"maps"
	"slices"

	"pgregory.net/rapid"

	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
)

// What the attacker does as anybody would: it has to work, or the model would
// withstand everything by doing nothing. What was honestly begun is then theirs to
// misuse.

// attackerRegisters makes another account, with an address, stage by stage.
func (w *world) attackerRegisters(*rapid.T) {
	e := endpoints[0]
	name, address := w.fresh("thief"), w.fresh("box")+"@example.org"
	w.tell("the attacker registers %s", name)
	params := map[string]any{"username": name, "password": thief}
	first := w.round(e, params, nil)
	if first.session == "" {
		return
	}
	var creds map[string]any
	for range 4 {
		stage := w.nextStage(first, creds != nil)
		auth := map[string]any{"type": stage, "session": first.session}
		switch stage {
		case "":
			return
		case "m.login.recaptcha":
			auth["response"] = "solved"
		case "m.login.email.identity":
			p := w.ask(threepid.Register, address, w.node())
			if p == nil || !w.click(p) {
				return // the mail waits for an earlier stage, or there is none
			}
			p.attackers = true
			creds = w.spelled(p, "threepid_creds", "threepidCreds")
			maps.Copy(auth, creds)
		}
		next := w.round(e, params, auth)
		if next.status != 401 || next.session == "" {
			return
		}
		if first = next; w.often("pause", 4) {
			w.timePasses(nil)
		}
	}
}

// challenge is what the attacker reads in an answer.
type challenge struct {
	status    int
	session   string
	completed []string
	flows     [][]string
}

// round is one request of an authentication.
func (w *world) round(e endpoint, params, auth map[string]any) challenge {
	body := maps.Clone(params)
	if auth != nil {
		body["auth"] = auth
	}
	raw, _ := json.Marshal(body) // of strings
	r := request{method: e.method, target: "/_matrix/client/r0" + e.tail, body: string(raw), node: w.node()}
	got := w.deliver(e, r)
	var told struct {
		Session   string                      `json:"session"`
		Completed []string                    `json:"completed"`
		Flows     []struct{ Stages []string } `json:"flows"`
	}
	_ = json.Unmarshal([]byte(got.body), &told) // or it stays empty
	c := challenge{status: got.status, session: told.Session, completed: told.Completed}
	for _, f := range told.Flows {
		c.flows = append(c.flows, f.Stages)
	}
	for i, n := range w.names { // what was of use once may be so again
		if got.status == 200 && auth != nil && n.text == auth["session"] {
			w.names[i].proven = true
		}
	}
	return c
}

// nextStage is one that is missing in the flow with the email address and no
// phone number, or "".
func (w *world) nextStage(c challenge, proven bool) string {
	for _, stages := range c.flows {
		if !slices.Contains(stages, "m.login.email.identity") || slices.Contains(stages, "m.login.msisdn") {
			continue
		}
		var missing []string
		for _, stage := range stages {
			if !slices.Contains(c.completed, stage) && !(proven && stage == "m.login.email.identity") {
				missing = append(missing, stage)
			}
		}
		if len(missing) > 0 {
			return pick(w, "next", missing...)
		}
	}
	return ""
}

// attackerResets sets a new password of an account of the attacker's that has an
// address.
func (w *world) attackerResets(*rapid.T) {
	address := w.attackers()[0]
	p := w.ask(threepid.Password, address, w.node())
	if p == nil || !w.click(p) {
		return
	}
	p.attackers = true
	w.tell("the attacker resets a password of their own")
	params := map[string]any{"new_password": thief}
	auth := w.spelled(p, "threepid_creds", "threepidCreds")
	auth["type"] = "m.login.email.identity"
	if first := w.round(endpoints[1], params, nil); first.session != "" && !w.often("no session", 4) {
		auth["session"] = first.session
	}
	w.round(endpoints[1], params, auth)
	for _, a := range w.accounts {
		if !w.logIn(a) {
			a.password = thief
			w.logIn(a)
		}
	}
}
