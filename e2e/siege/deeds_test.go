// SPDX-License-Identifier: Apache-2.0

package siege

import (
	"fmt"
	"net/http"
	"time"
)

// creds are what a client completes with.
func (p *person) creds(sid string) map[string]any {
	return map[string]any{"sid": sid, "client_secret": p.name}
}

// wanted is the body of a request for a mail.
func (p *person) wanted(email string, attempt int) map[string]any {
	return map[string]any{"client_secret": p.name, "email": email, "send_attempt": attempt}
}

// reset is the errand of somebody who has forgotten the password.
func (p *person) reset() *errand {
	return &errand{
		person: p, kind: reset, to: p.email,
		ask: func(attempt int) answer {
			return p.send("account/password/email/requestToken", p.wanted(p.email, attempt))
		},
		use: func(sid string) answer {
			return p.send("account/password", map[string]any{
				"new_password": "new", "auth": map[string]any{"type": "m.login.email.identity", "threepid_creds": p.creds(sid)},
			})
		},
	}
}

// add is the errand of somebody who is logged in, and has a second mailbox.
func (p *person) add() *errand {
	second := "second." + p.email
	return &errand{
		person: p, kind: add, to: second,
		ask: func(attempt int) answer {
			return p.sendAs("account/3pid/email/requestToken", p.wanted(second, attempt))
		},
		use: p.added,
	}
}

// addPhone is the same with a phone.
func (p *person) addPhone() *errand {
	digits := fmt.Sprintf("447400%06d", p.rnd.IntN(1e6))
	return &errand{
		person: p, kind: addPhone, to: digits,
		ask: func(attempt int) answer {
			return p.sendAs("account/3pid/msisdn/requestToken", map[string]any{
				"client_secret": p.name, "country": "GB", "phone_number": "+" + digits, "send_attempt": attempt,
			})
		},
		use: p.added,
	}
}

func (p *person) added(sid string) answer {
	return p.sendAs("account/3pid", map[string]any{"three_pid_creds": p.creds(sid)})
}

// nextLink is how a client names the registration that a mail is for.
const nextLink = "https://app.example.org/#/register?session_id="

// register is the errand of a newcomer, whose client asks for the mail as soon as it knows
// that there is one to ask for, and who solves the captcha meanwhile.
func (p *person) register() *errand {
	session := ""
	stage := func(auth map[string]any) answer {
		auth["session"] = session
		return p.send("register", map[string]any{"username": p.name, "password": p.password, "auth": auth})
	}
	return &errand{
		person: p, kind: registration, to: p.email,
		ask: func(attempt int) answer {
			if session == "" {
				session = p.send("register", map[string]any{"username": p.name, "password": p.password}).field("session")
			}
			body := p.wanted(p.email, attempt)
			body["next_link"] = nextLink + session
			a := p.send("register/email/requestToken", body)
			if attempt == 1 {
				p.line.in(within(p.rnd, 2*time.Second, 9*time.Second), func() {
					stage(map[string]any{"type": "m.login.recaptcha", "response": captcha})
				})
			}
			return a
		},
		use: func(sid string) answer {
			a := stage(map[string]any{"type": "m.login.email.identity", "threepid_creds": p.creds(sid)})
			if a.status == http.StatusOK && !p.site.hs.HasUser(p.name) {
				p.site.t.Errorf("%s was told to have an account, and has none", p.name)
			}
			return a
		},
	}
}
