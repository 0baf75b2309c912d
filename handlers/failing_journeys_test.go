// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

const clientPath = "/_matrix/client/r0/"

// asBob sends a request of bob's.
func (c *chaos) asBob(hope int, tail, body string) error {
	_, err := c.ask(hope, "POST", clientPath+tail, body, "Authorization", "Bearer "+c.token)
	return err
}

func addBodyOf(sid, secret, password string) string {
	return fmt.Sprintf(`{"sid":%q,"client_secret":%q,"auth":{"type":"m.login.password","user":"bob","password":%q}}`, sid, secret, password)
}

// address is another one in each round.
func (c *chaos) address(name string, domain ...string) string {
	return fmt.Sprintf("%s%d@%s", name, c.round, append(domain, "example.org")[0])
}

func (c *chaos) registration(sid, secret, name string) string {
	return fmt.Sprintf(`{"username":"%s%d","password":"p","auth":{"type":"m.login.email.identity","threepid_creds":{"sid":%q,"client_secret":%q}}}`, name, c.round, sid, secret)
}

// moreJourneys are those in which time plays no part.
var moreJourneys = []journey{
	{name: "add the old way", run: func(c *chaos) error {
		sid, secret, err := c.prove("account/3pid", c.address("added"))
		if err != nil {
			return err
		}
		return c.asBob(http.StatusOK, "account/3pid", fmt.Sprintf(`{"three_pid_creds":{"sid":%q,"client_secret":%q}}`, sid, secret))
	}, done: func(c *chaos) bool { return slices.Contains(c.hs.Emails("bob"), c.address("added")) }},
	{name: "add one's own address, in another spelling", run: func(c *chaos) error {
		sid, secret, err := c.prove("account/3pid", c.address("me", "bücher.example"))
		if err != nil {
			return err
		}
		c.getsMeanwhile("bob", c.address("me", "bücher.example"))
		return c.asBob(http.StatusOK, "account/3pid", oldCreds(sid, secret))
	}, done: func(c *chaos) bool {
		return !slices.Contains(c.hs.Emails("bob"), c.address("me", "xn--bcher-kva.example"))
	}},
	{name: "reset, in another spelling", run: func(c *chaos) error {
		sid, secret, err := c.prove("account/password", "Alice@example.org")
		if err != nil {
			return err
		}
		_, err = c.ask(http.StatusOK, "POST", clientPath+"account/password", strings.Replace(resetBody(sid, secret), "correct horse", c.address("new"), 1))
		return err
	}, done: func(c *chaos) bool { return c.hs.CheckPassword("alice", c.address("new")) }},
	{name: "reset in two rounds", run: func(c *chaos) error {
		sid, secret, err := c.prove("account/password", "alice@example.org")
		if err != nil {
			return err
		}
		rec, err := c.ask(http.StatusUnauthorized, "POST", clientPath+"account/password", `{"new_password":"`+c.address("new")+`"}`)
		if err != nil {
			return err
		}
		body := strings.Replace(resetBody(sid, secret), "correct horse", c.address("new"), 1)
		_, err = c.ask(http.StatusOK, "POST", clientPath+"account/password", strings.Replace(body, `"auth":{`, `"auth":{`+nameIn(rec.Body.Bytes()), 1))
		return err
	}, done: func(c *chaos) bool { return c.hs.CheckPassword("alice", c.address("new")) }},
	{name: "add by a code", run: func(c *chaos) error {
		sid, secret, err := c.texted("account/3pid")
		if err != nil {
			return err
		}
		c.mayNow(sid, "account/3pid", c.phone())
		if _, err = c.ask(http.StatusOK, "POST", phonePath, submitBody(sid, secret, c.tokenOf(sid))); err != nil {
			return err
		}
		return c.asBob(http.StatusOK, "account/3pid/add", addBodyOf(sid, secret, "bob's"))
	}, done: func(c *chaos) bool { return slices.Contains(c.hs.Threepids("bob"), "msisdn "+c.phone()) }},
	{name: "add, with a mail for the password", run: func(c *chaos) error {
		sid, secret, proof, proofSecret, err := c.proveBoth("added", "bob@example.org")
		if err != nil {
			return err
		}
		return c.asBob(http.StatusOK, "account/3pid/add", mailProof(sid, secret, proof, proofSecret))
	}, done: func(c *chaos) bool { return slices.Contains(c.hs.Emails("bob"), c.address("added")) }},
	{name: "delete", before: func(c *chaos) { c.hs.AddThreepid("bob", "email", c.address("old")) }, run: func(c *chaos) error {
		c.rights["address gone @bob:example.org"] = 1
		return c.asBob(http.StatusOK, "account/3pid/delete", fmt.Sprintf(`{"medium":"email","address":%q}`, c.address("old")))
	}, done: func(c *chaos) bool { return !slices.Contains(c.hs.Emails("bob"), c.address("old")) }},
	{name: "deactivate", before: func(c *chaos) {
		c.hs.AddUser("bob", "bob's", "bob@example.org")
		c.token = c.login("bob", "bob's")
	}, run: func(c *chaos) error {
		c.rights["address gone @bob:example.org"], c.rights["deactivated @bob:example.org"] = 100, 1
		return c.asBob(http.StatusOK, "account/deactivate", `{"auth":{"type":"m.login.password","user":"bob","password":"bob's"}}`)
	}, done: func(c *chaos) bool { return !c.hs.HasUser("bob") }},
}

func (c *chaos) phone() string { return fmt.Sprint("44740012345", c.round) }

// mailProof is a body of /add that authenticates by another address.
func mailProof(sid, secret, proofSID, proofSecret string) string {
	return fmt.Sprintf(`{"sid":%q,"client_secret":%q,"auth":{"type":"m.login.email.identity","threepid_creds":{"sid":%q,"client_secret":%q}}}`, sid, secret, proofSID, proofSecret)
}

// proveBoth confirms a new address, and one of an account.
func (c *chaos) proveBoth(name, other string) (sid, secret, otherSID, otherSecret string, err error) {
	if sid, secret, err = c.prove("account/3pid", c.address(name)); err == nil {
		otherSID, otherSecret, err = c.prove("account/password", other)
	}
	return sid, secret, otherSID, otherSecret, err
}

// texted opens a session for a phone.
func (c *chaos) texted(purpose string) (sid, secret string, err error) {
	secret = fmt.Sprintf("secret-%d-%d", c.round, len(c.secrets))
	c.secrets = append(c.secrets, secret)
	rec, err := c.ask(http.StatusOK, "POST", clientPath+purpose+"/msisdn/requestToken", phoneBody(secret, "GB", "+"+c.phone(), 1))
	if err != nil {
		return "", "", err
	}
	return sidIn(rec), secret, nil
}

// conversationName is one in an answer.
var conversationName = regexp.MustCompile(`"session":"[^"]+"`)

// nameIn is the name of a conversation in an answer, as the first member of an auth dict.
func nameIn(answer []byte) string {
	if name := conversationName.Find(answer); name != nil {
		return string(name) + ","
	}
	return ""
}
