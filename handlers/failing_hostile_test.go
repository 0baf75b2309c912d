// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// refused sends a request that must not succeed, whatever fails, now or when nothing is
// in flight any more; unless the homeserver says that it has, and that is a lie.
func (c *chaos) refused(tail, body string, header ...string) {
	c.t.Helper()
	for range 2 {
		if rec := c.once("POST", clientPath+tail, body, header...); rec.Code/100 == 2 && !(c.far.fault.lies && !c.far.fault.acts) {
			c.t.Errorf("%s%s: %s is granted: %s", c.far.broke, c.disk.Broke(), tail, rec.Body)
		}
		c.clock.Advance(verification.DefaultInFlight)
	}
}

func (c *chaos) refusedToBob(tail, body string) {
	c.t.Helper()
	c.refused(tail, body, "Authorization", "Bearer "+c.token)
}

func oldCreds(sid, secret string) string {
	return fmt.Sprintf(`{"three_pid_creds":{"sid":%q,"client_secret":%q}}`, sid, secret)
}

// getsMeanwhile gives a user an address, of which nobody here is told.
func (c *chaos) getsMeanwhile(user, address string) {
	c.hs.AddThreepid(user, "email", address)
	c.since = len(c.hs.Changes())
}

// hostileJourneys are those of people who want more than they have proven.
var hostileJourneys = []journey{
	{name: "what nobody has confirmed", run: func(c *chaos) error {
		sid, secret, err := c.opens("register", c.address("new"))
		if err != nil {
			return err
		}
		c.refused("register", c.registration(sid, secret, "new"))
		if sid, secret, err = c.opens("account/3pid", c.address("added")); err != nil {
			return err
		}
		c.refusedToBob("account/3pid", oldCreds(sid, secret))
		c.refusedToBob("account/3pid/add", addBodyOf(sid, secret, "bob's"))
		return nil
	}},
	{name: "a reset that nobody has confirmed", run: func(c *chaos) error {
		sid, secret, err := c.opens("account/password", "alice@example.org")
		c.refused("account/password", resetBody(sid, secret))
		return err
	}},
	{name: "a proof for something else", run: func(c *chaos) error {
		sid, secret, err := c.prove("account/3pid", c.address("added"))
		if err != nil {
			return err
		}
		c.refused("register", c.registration(sid, secret, "new"))
		c.refused("account/password", resetBody(sid, secret))
		return nil
	}},
	{name: "an address that somebody has got meanwhile", run: func(c *chaos) error {
		sid, secret, err := c.prove("account/3pid", c.address("late"))
		if err != nil {
			return err
		}
		c.getsMeanwhile("alice", c.address("late"))
		c.refusedToBob("account/3pid", oldCreds(sid, secret))
		c.refusedToBob("account/3pid/add", addBodyOf(sid, secret, "bob's"))
		return nil
	}},
	{name: "an address that somebody has got meanwhile, in another spelling", off: true, run: func(c *chaos) error {
		sid, secret, err := c.prove("account/3pid", c.address("me", "bücher.example"))
		if err != nil {
			return err
		}
		c.getsMeanwhile("alice", c.address("me", "bu\u0308cher.example"))
		c.refusedToBob("account/3pid", oldCreds(sid, secret))
		return nil
	}},
	{name: "a second account for an address, in another spelling", off: true, run: func(c *chaos) error {
		sid, secret, err := c.prove("register", c.address("me", "bücher.example"))
		if err == nil {
			c.getsMeanwhile("alice", c.address("me", "bu\u0308cher.example"))
			c.refused("register", c.registration(sid, secret, "new"))
		}
		return err
	}},
	{name: "an account for an address that is alike to somebody else's", off: true, run: func(c *chaos) error {
		sid, secret, err := c.prove("register", c.address("straße"))
		if err == nil {
			c.getsMeanwhile("alice", c.address("strasse"))
			c.client.hs = homeserverOf(&c.client.cfg) // what the homeserver can do is asked again, as after ten minutes
			c.refused("register", c.registration(sid, secret, "new"))
		}
		return err
	}},
	{name: "an address that is alike to somebody else's", run: func(c *chaos) error {
		sid, secret, err := c.prove("account/3pid", c.address("straße"))
		if err == nil {
			c.getsMeanwhile("alice", c.address("strasse"))
			c.refusedToBob("account/3pid", oldCreds(sid, secret))
		}
		return err
	}},
	{name: "an address without the password", run: func(c *chaos) error {
		sid, secret, err := c.prove("account/3pid", c.address("added"))
		if err != nil {
			return err
		}
		c.refusedToBob("account/3pid/add", addBodyOf(sid, secret, "guessed"))
		c.refusedToBob("account/3pid/add", fmt.Sprintf(`{"sid":%q,"client_secret":%q}`, sid, secret))
		return nil
	}},
	{name: "an address with a mail of somebody else", run: func(c *chaos) error {
		sid, secret, proof, proofSecret, err := c.proveBoth("added", "alice@example.org")
		if err == nil {
			c.refusedToBob("account/3pid/add", mailProof(sid, secret, proof, proofSecret))
		}
		return err
	}},
	{name: "two addresses with one mail", run: func(c *chaos) error {
		sid, secret, proof, proofSecret, err := c.proveBoth("added", "bob@example.org")
		if err != nil {
			return err
		}
		other, otherSecret, err := c.prove("account/3pid", c.address("other"))
		if err != nil {
			return err
		}
		err = c.asBob(http.StatusOK, "account/3pid/add", mailProof(sid, secret, proof, proofSecret))
		c.clock.Advance(verification.DefaultInFlight)
		c.refusedOnce(err, "account/3pid/add", mailProof(other, otherSecret, proof, proofSecret), "Authorization", "Bearer "+c.token)
		if bobs := c.hs.Emails("bob"); slices.Contains(bobs, c.address("added")) && slices.Contains(bobs, c.address("other")) {
			c.t.Errorf("%s%s: one mail was worth two addresses", c.far.broke, c.disk.Broke())
		}
		return err
	}},
	{name: "two accounts for one proof", run: func(c *chaos) error {
		sid, secret, err := c.prove("register", c.address("new"))
		if err == nil {
			_, err = c.ask(http.StatusOK, "POST", clientPath+"register", c.registration(sid, secret, "new"))
		}
		c.refusedOnce(err, "register", c.registration(sid, secret, "other"))
		return err
	}},
	{name: "two resets for one proof", run: func(c *chaos) error {
		sid, secret, err := c.prove("account/password", "alice@example.org")
		if err != nil {
			return err
		}
		rec, err := c.ask(http.StatusUnauthorized, "POST", clientPath+"account/password", `{"new_password":"one"}`)
		if err != nil {
			return err
		}
		name := nameIn(rec.Body.Bytes())
		body := strings.Replace(resetBody(sid, secret), `"auth":{`, `"auth":{`+name, 1)
		_, err = c.ask(http.StatusOK, "POST", clientPath+"account/password", body)
		c.refusedOnce(err, "account/password", body)
		c.refusedOnce(err, "account/password", `{"new_password":"two","auth":{`+strings.TrimSuffix(name, ",")+`}}`)
		return err
	}},
	{name: "a code that is guessed", run: func(c *chaos) error {
		sid, secret, err := c.texted("account/3pid")
		if err != nil {
			return err
		}
		wrong := "000000"
		if c.tokenOf(sid) == wrong {
			wrong = "000001"
		}
		rec := c.once("POST", phonePath, submitBody(sid, secret, wrong))
		if rec.Code == http.StatusOK && strings.Contains(rec.Body.String(), "true") {
			c.t.Errorf("%s: a wrong code is right", c.disk.Broke())
		}
		c.refusedToBob("account/3pid/add", addBodyOf(sid, secret, "bob's"))
		return nil
	}},
	{name: "somebody else's address is deleted", run: func(c *chaos) error {
		// They are told the same as of an address that nobody has.
		c.once("POST", clientPath+"account/3pid/delete", `{"medium":"email","address":"alice@example.org"}`, "Authorization", "Bearer "+c.token)
		return nil
	}},
}

// refusedOnce is refused for what was done, or perhaps done, before: if that has failed,
// the proof may be good, and it is the ledger that tells.
func (c *chaos) refusedOnce(before error, tail, body string, header ...string) {
	c.t.Helper()
	if before == nil {
		c.refused(tail, body, header...)
		return
	}
	c.once("POST", clientPath+tail, body, header...)
}
