// SPDX-License-Identifier: Apache-2.0

package adversary

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/fakehs"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// The attacks that were once carried out, as they were, where they need more time or
// more mishaps than a real homeserver can be given. Those that do not are in package
// e2e, in front of a real one.

// scene is a site with a victim, a thief and their mailboxes.
type scene struct {
	*testing.T
	*site
	token string // of the thief's account
}

func newScene(t *testing.T, how setup) *scene {
	t.Helper()
	how.Gate = "off"
	c := &scene{T: t, site: newSite(t, how)}
	c.double.AddUser("victim", "the victim's", "victim@example.org")
	c.double.AddUser("mallory", "mallory's", "mallory@example.org")
	got := c.post("r0/login", "", `{"type":"m.login.password","user":"mallory","password":"mallory's"}`)
	c.token = got.text("access_token")
	return c
}

// text is a member of a JSON answer, or "".
func (a answer) text(key string) string {
	var body map[string]any
	_ = json.Unmarshal([]byte(a.body), &body) // or it has none
	text, _ := body[key].(string)
	return text
}

func (c *scene) post(tail, token, body string) answer {
	c.Helper()
	return c.send(request{method: "POST", target: "/_matrix/client/" + tail, token: token, body: body})
}

// around is post past us.
func (c *scene) around(tail, body string) answer {
	c.Helper()
	return c.send(request{method: "POST", target: "/_matrix/client/" + tail, body: body, around: true})
}

// clicked is a session whose mail was clicked; its creds are for a body.
func (c *scene) clicked(purpose verification.Purpose, address string) (creds string) {
	c.Helper()
	got := c.post("r0/"+tails[purpose]+"/email/requestToken", "",
		fmt.Sprintf(`{"client_secret":"s","email":%q,"send_attempt":1}`, address))
	sid := got.text("sid")
	for _, m := range c.box.Mails() {
		if m.SID == sid {
			if _, err := c.nodes[0].svc.Submit(c.Context(), verification.Submission{SID: sid, Token: m.Token}); err != nil {
				c.Fatalf("click: %v", err)
			}
			return fmt.Sprintf(`{"sid":%q,"client_secret":"s"}`, sid)
		}
	}
	c.Fatalf("got %d %s and no mail", got.status, got.body)
	return ""
}

func emailStage(creds, session string) string {
	if session != "" {
		session = fmt.Sprintf(`"session":%q,`, session)
	}
	return `{` + session + `"type":"m.login.email.identity","threepid_creds":` + creds + `}`
}

// resets tries three resets by the name of a session alone.
func (c *scene) resets(session string) {
	c.Helper()
	for range 3 {
		c.post("r0/account/password", "", fmt.Sprintf(`{"new_password":%q,"auth":{"session":%q}}`, thief, session))
	}
}

// wantSafe fails the test if the thief's password opens the account.
func (c *scene) wantSafe() {
	c.Helper()
	log := fmt.Sprintf(`{"type":"m.login.password","user":"victim","password":%q}`, thief)
	if got := c.post("r0/login", "", log); got.status != 403 {
		c.Errorf("got %d for a log-in with the thief's password, want 403", got.status)
	}
	if !c.double.CheckPassword("victim", "the victim's") {
		c.Error("the victim's password is gone")
	}
}

// captchas are the two kinds of registration that do not end with the address.
var captchas = map[string]setup{"captcha": {Captcha: true}, "terms": {Terms: true}}

// TestAttack_OneClickManyResets: a proof that is shown where the homeserver asks for
// more stays with the session that the answer names, and was worth any number of
// resets there.
func TestAttack_OneClickManyResets(t *testing.T) {
	for _, session := range []string{"", `bogus`} {
		for name, how := range captchas {
			t.Run(fmt.Sprintf("register with session %q before a %s", session, name), func(t *testing.T) {
				c := newScene(t, how)
				creds := c.clicked(verification.Register, "victim@example.org")
				got := c.post("v3/register", "", `{"username":"x","password":"y","auth":`+emailStage(creds, session)+`}`)
				if !strings.Contains(got.body, `"completed":["m.login.email.identity"]`) {
					t.Fatalf("got %d %s, want the stage completed", got.status, got.body)
				}
				c.resets(got.text("session"))
				c.wantSafe()
			})
		}
		t.Run(fmt.Sprintf("delete_devices with session %q", session), func(t *testing.T) {
			c := newScene(t, setup{Callback: true})
			creds := c.clicked(verification.Password, "victim@example.org")
			got := c.post("r0/delete_devices", c.token, `{"devices":[],"auth":`+emailStage(creds, session)+`}`)
			if got.text("session") == "" {
				t.Fatalf("got %d %s, want a session", got.status, got.body)
			}
			c.resets(got.text("session"))
			c.wantSafe()
		})
	}
}

// TestAttack_OneProofOneReset: the proof of a reset is spent by it, also for whoever
// goes on with the same conversation at the same endpoint.
func TestAttack_OneProofOneReset(t *testing.T) {
	c := newScene(t, setup{})
	first := c.post("r0/account/password", "", `{"new_password":"one"}`).text("session")
	creds := c.clicked(verification.Password, "victim@example.org")
	c.post("r0/account/password", "", `{"new_password":"the victim's","auth":`+emailStage(creds, first)+`}`)
	for _, session := range []string{first, ""} {
		c.post("r0/account/password", "", fmt.Sprintf(`{"new_password":%q,"auth":%s}`, thief, emailStage(creds, session)))
		c.resets(session)
	}
	c.wantSafe()
	n := 0
	for _, change := range c.double.Changes() {
		if change.Kind == fakehs.PasswordSet {
			n++
		}
	}
	if n != 1 {
		t.Errorf("got %d new passwords for one proof, want 1", n)
	}
}

// proven is a session in which a registration has proven the victim's address, the
// session being named from the beginning: what the first fix of this attack knew of.
func (c *scene) proven() string {
	c.Helper()
	session := c.post("r0/register", "", `{"username":"x","password":"y"}`).text("session")
	creds := c.clicked(verification.Register, "victim@example.org")
	got := c.post("r0/register", "", `{"auth":`+emailStage(creds, session)+`}`)
	if got.status != 401 || !strings.Contains(got.body, `"completed":["m.login.email.identity"]`) {
		c.Fatalf("got %d %s, want the stage completed", got.status, got.body)
	}
	return got.text("session")
}

// TestAttack_KeptAliveForAMonth: a session that is touched every 47 hours outlives
// everything that anybody remembers about it for a bounded time.
func TestAttack_KeptAliveForAMonth(t *testing.T) {
	for name, how := range captchas {
		t.Run(name, func(t *testing.T) {
			c := newScene(t, how)
			session := c.proven()
			for range 20 { // 39 days
				c.clock.now = c.clock.now.Add(47 * time.Hour)
				c.post("r0/register", "", fmt.Sprintf(`{"auth":{"session":%q}}`, session))
			}
			c.resets(session)
			c.wantSafe()
		})
	}
}

// TestAttack_StateIsLost: no store has to remember anything for the attack to fail.
func TestAttack_StateIsLost(t *testing.T) {
	for name, mishap := range map[string]func(*scene){
		"the store":              func(c *scene) { c.loseStore() },
		"the store and its keys": func(c *scene) { c.loseAll() },
		"a backup of before": func(c *scene) {
			c.restore()
		},
		"nothing, after a rotation": func(c *scene) { c.rotate() },
		"what was in memory":        func(c *scene) { c.restart() },
	} {
		t.Run(name, func(t *testing.T) {
			c := newScene(t, setup{Captcha: true})
			c.backUp()
			session := c.proven()
			mishap(c)
			c.resets(session)
			c.wantSafe()
		})
	}
}

// TestAttack_SecondWayToTheHomeserver: a site on port 8448 that leads to the same
// port of the homeserver knows nothing of us. Whoever goes that way must have
// nothing to name there.
func TestAttack_SecondWayToTheHomeserver(t *testing.T) {
	c := newScene(t, setup{Captcha: true})
	session := c.proven()
	for range 3 {
		c.around("r0/account/password", fmt.Sprintf(`{"new_password":%q,"auth":{"session":%q}}`, thief, session))
	}
	// And what is named there is nothing to us.
	raw := c.around("r0/register", `{"username":"x","password":"y"}`).text("session")
	creds := c.clicked(verification.Register, "victim@example.org")
	c.post("r0/register", "", `{"auth":`+emailStage(creds, raw)+`}`)
	c.around("r0/account/password", fmt.Sprintf(`{"new_password":%q,"auth":{"session":%q}}`, thief, raw))
	c.wantSafe()
}

// foreign are credentials that name an identity server of the thief's, for a reader
// who looks at one of the members only. $IS is ours, $SID a session of ours.
var foreign = map[string]string{
	"a session":       `{"sid":"x","client_secret":"s","id_server":"evil.example"}`,
	"an empty sid":    `{"sid":"","client_secret":"s","id_server":"evil.example"}`,
	"a sid of null":   `{"sid":null,"client_secret":"s","id_server":"evil.example"}`,
	"no sid":          `{"client_secret":"s","id_server":"evil.example"}`,
	"a number":        `{"sid":7,"client_secret":"s","id_server":"evil.example"}`,
	"a list":          `{"sid":[],"client_secret":"s","id_server":"evil.example"}`,
	"ours in camel":   `{"sid":"","client_secret":"s","id_server":"evil.example","idServer":"$IS"}`,
	"ours in snake":   `{"sid":"","client_secret":"s","idServer":"evil.example","id_server":"$IS"}`,
	"only camel":      `{"sid":"","clientSecret":"s","idServer":"evil.example"}`,
	"our own session": `{"sid":"$SID","client_secret":"s","id_server":"evil.example"}`,
	"no secret":       `{"sid":"","client_secret":null,"id_server":"evil.example"}`,
}

// TestAttack_ForeignIdentityServerWithoutASession: on a homeserver that believes
// every identity server, none but ours is named to it, whatever else the
// credentials have in them and wherever they are shown.
func TestAttack_ForeignIdentityServerWithoutASession(t *testing.T) {
	for name, creds := range foreign {
		t.Run(name, func(t *testing.T) {
			c := newScene(t, setup{TrustsAnybody: true, Terms: true})
			asked := 0
			c.evil = func(string) []byte {
				asked++
				return []byte(`{"medium":"email","address":"victim@example.org","validated_at":1}`)
			}
			sid := c.post("r0/account/3pid/email/requestToken", "", `{"client_secret":"s","email":"new@example.org","send_attempt":1}`).text("sid")
			creds := strings.NewReplacer("$IS", c.identity, "$SID", sid).Replace(creds)
			honest := strings.NewReplacer("evil.example", c.identity).Replace(creds)
			for _, both := range []string{
				`"threepid_creds":` + creds, `"threepidCreds":` + creds,
				`"threepid_creds":` + creds + `,"threepidCreds":` + honest, `"threepid_creds":` + honest + `,"threepidCreds":` + creds,
				`"threepid_creds":[` + creds + `]`,
			} {
				auth := `{"type":"m.login.email.identity",` + both + `}`
				c.post("r0/account/password", "", fmt.Sprintf(`{"new_password":%q,"auth":%s}`, thief, auth))
				c.post("v3/account/password", "", fmt.Sprintf(`{"new_password":%q,"auth":%s}`, thief, auth))
				c.post("r0/register", "", `{"username":"x","password":"y","auth":`+auth+`}`)
				c.post("r0/delete_devices", c.token, `{"devices":[],"auth":`+auth+`}`)
				add := strings.NewReplacer("threepid_creds", "three_pid_creds", "threepidCreds", "threePidCreds").Replace(both)
				c.post("r0/account/3pid", c.token, `{`+add+`}`)
			}
			c.wantSafe()
			if asked > 0 {
				t.Errorf("got the thief's identity server asked %d times, want never", asked)
			}
			if got := c.double.Emails("victim"); len(got) != 1 {
				t.Errorf("got %q as the victim's addresses, want the one", got)
			}
		})
	}
}

// TestAttack_AFallbackPathThatGoesOn: Synapse's pattern for the page of a stage has no
// end (rest/client/v2_alpha/auth.py), so whatever follows is the same page to it. A
// name that we did not give out must not get there by that either.
func TestAttack_AFallbackPathThatGoesOn(t *testing.T) {
	for _, end := range []string{"", "x", "/", "/x", "web", "%20"} {
		for _, method := range []string{"GET", "POST"} {
			t.Run(method+" web"+end, func(t *testing.T) {
				c := newScene(t, setup{Captcha: true, Terms: true})
				raw := c.around("r0/register", `{"username":"x","password":"y"}`).text("session")
				for _, stage := range []string{"m.login.recaptcha", "m.login.terms"} {
					target := "/_matrix/client/r0/auth/" + stage + "/fallback/web" + end
					values := "session=" + raw + "&g-recaptcha-response=solved"
					c.double.ResetRecordings()
					c.send(request{method: method, target: target + "?" + values})
					if method == "POST" {
						c.send(request{method: method, target: target, body: values, form: true})
					}
					for _, req := range c.double.Requests() {
						if strings.Contains(req.Query+string(req.Body), raw) {
							t.Errorf("the homeserver got the name by %s %s", req.Method, req.Path)
						}
					}
				}
			})
		}
	}
}
