// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/smtptest"
)

// errTurnedAway: the server was full, and said so, for longer than a user waits.
var errTurnedAway = errors.New("turned away")

// patience is how long a good user waits for a mail, or for an answer. What is
// judged is whether it comes; how soon is a matter of the machine and its load.
const patience = 3 * time.Minute

// good is a user after the other, each of whom registers, resets the password,
// adds an address and leaves.
type good struct {
	site  *site
	tally *tally
	lane  int
	n     int
}

func newGood(s *site, t *tally, lane int) *good { return &good{site: s, tally: t, lane: lane} }

func (g *good) run(ctx context.Context) {
	for ctx.Err() == nil {
		g.n++
		err := g.life(ctx)
		switch {
		case ctx.Err() != nil:
		case errors.Is(err, errTurnedAway):
			g.tally.note(g.tally.good, "turned away by a full queue")
		case err != nil:
			g.tally.note(g.tally.failed, err.Error())
		}
	}
}

// life is what one user does.
func (g *good) life(ctx context.Context) error {
	name := fmt.Sprintf("user-%d-%d", g.lane, g.n)
	first, second := name+"@example.test", name+"@second.test"
	creds, err := g.prove(ctx, "register", first)
	if err != nil {
		return err
	}
	auth := `"auth":{"type":"m.login.email.identity","threepid_creds":` + creds + `}`
	_, err = g.step(ctx, "register", "/_matrix/client/v3/register", `{"username":"`+name+`","password":"one",`+auth+`}`)
	if err != nil {
		return err
	}
	if creds, err = g.prove(ctx, "account/password", first); err != nil {
		return err
	}
	auth = `"auth":{"type":"m.login.email.identity","threepid_creds":` + creds + `}`
	if _, err = g.step(ctx, "reset", "/_matrix/client/v3/account/password", `{"new_password":"two","logout_devices":false,`+auth+`}`); err != nil {
		return err
	}
	login := `{"type":"m.login.password","user":"` + name + `","password":"two"}`
	a, err := g.step(ctx, "log in", "/_matrix/client/r0/login", login)
	if err != nil {
		return err
	}
	token := a.text("access_token")
	if creds, err = g.prove(ctx, "account/3pid", second); err != nil {
		return err
	}
	auth = `"auth":{"type":"m.login.password","user":"` + name + `","password":"two"}`
	add := creds[:len(creds)-1] + "," + auth + "}"
	if _, err = g.step(ctx, "add", "/_matrix/client/v3/account/3pid/add", add, "Authorization", "Bearer "+token); err != nil {
		return err
	}
	_, err = g.step(ctx, "leave", "/_matrix/client/v3/account/deactivate", "{"+auth+"}", "Authorization", "Bearer "+token)
	return err
}

// step is a request that has to succeed.
func (g *good) step(ctx context.Context, what, path, body string, header ...string) (*answer, error) {
	a, err := g.site.send(ctx, g.tally, http.MethodPost, path, body, header...)
	if err != nil {
		return nil, err
	}
	if a.status != http.StatusOK {
		return nil, fmt.Errorf("%s: %d %s", what, a.status, a.text("errcode"))
	}
	g.tally.note(g.tally.good, what)
	return a, nil
}

// prove has an address confirmed and returns the credentials as JSON.
func (g *good) prove(ctx context.Context, purpose, address string) (creds string, err error) {
	mail, done := g.site.mail.expect(address)
	defer done()
	body := `{"client_secret":"good","email":"` + address + `","send_attempt":1}`
	var a *answer
	for range 200 {
		if a, err = g.site.send(ctx, g.tally, http.MethodPost, "/_matrix/client/v3/"+purpose+"/email/requestToken", body); err != nil {
			return "", err
		}
		if a.status != http.StatusServiceUnavailable {
			break
		}
		if err := pause(ctx, 100*time.Millisecond); err != nil { // less than it is asked to
			return "", err
		}
	}
	switch a.status {
	case http.StatusOK:
	case http.StatusServiceUnavailable:
		return "", errTurnedAway
	default:
		return "", fmt.Errorf("request for %s: %d %s", purpose, a.status, a.text("errcode"))
	}
	select {
	case m := <-mail:
		return `{"sid":"` + a.text("sid") + `","client_secret":"good"}`, g.click(ctx, m)
	case <-time.After(patience):
		return "", fmt.Errorf("no mail in %s", patience)
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

var hiddenField = regexp.MustCompile(`<input type="hidden" name="([a-z_]+)" value="([^"]*)">`)

// click opens the link, reads the page and presses its button.
func (g *good) click(ctx context.Context, m smtptest.Message) error {
	link, ok := m.Link()
	if !ok {
		return errors.New("a mail without a link")
	}
	page, err := g.site.send(ctx, g.tally, http.MethodGet, link, "")
	if err != nil {
		return err
	}
	form := url.Values{}
	for _, f := range hiddenField.FindAllStringSubmatch(page.body, -1) {
		form.Add(f[1], html.UnescapeString(f[2]))
	}
	if err := pause(ctx, 1100*time.Millisecond); err != nil { // who presses at once is a program
		return err
	}
	u, err := url.Parse(link)
	if err != nil {
		return err
	}
	done, err := g.site.send(ctx, g.tally, http.MethodPost, u.Path, form.Encode(), "Content-Type", "application/x-www-form-urlencoded")
	if err == nil && (page.status != http.StatusOK || done.status != http.StatusSeeOther) {
		err = fmt.Errorf("the page of the link: %d, then %d", page.status, done.status)
	}
	return err
}

// pause waits.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
