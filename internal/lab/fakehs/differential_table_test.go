// SPDX-License-Identifier: Apache-2.0

package fakehs_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// deed is one line of the table: whose token (see talk.call), the call, its body. In all
// of them, $A and $B are two users with an address, $N is a name of nobody, $IS the
// identity server, $S the session, $D the device and $T the token that were told last,
// and {{email a@example.org}} are credentials, see believing.
type deed struct{ as, what, body string }

// part is what happens to the same two users.
type part struct {
	name  string
	deeds []deed
}

// conversation begins the part of the table that has its own two users.
func (p *pair) conversation(n string) *talk {
	p.t.Helper()
	c := &talk{pair: p, tokens: [2]map[string]string{{}, {}}, known: [2]map[string]string{{}, {}}}
	c.users = []string{"ann" + n, "ben" + n, "new" + n}
	for _, name := range c.users[:2] {
		c.account(name)
	}
	return c
}

// callByCall makes the calls of a table.
func (p *pair) callByCall(parts []part) {
	for i, part := range parts {
		p.t.Run(part.name, func(t *testing.T) {
			c := p.in(t).conversation(fmt.Sprint("t", i))
			for _, deed := range part.deeds {
				c.compare(deed)
				c.compareAddresses("$A", "$B")
			}
			c.compareState()
		})
	}
}

// compare makes one call to both, and compares their answers and what they asked the
// identity server.
func (c *talk) compare(d deed) (both [2]reply) {
	c.t.Helper()
	var got, asked [2]any
	for side := range both {
		c.is.ResetRequests()
		both[side] = c.send(side, c.filled(side, d))
		got[side], asked[side] = answered(both[side]), c.asked()
		for _, key := range []string{"session", "device_id", "access_token"} {
			if value, ok := both[side].json[key].(string); ok {
				c.known[side][key] = value
			}
		}
		c.tokens[side]["T"] = c.known[side]["access_token"]
	}
	if !reflect.DeepEqual(got[0], got[1]) {
		c.t.Errorf("%q %s %s:\n got %v\nwant %v\n(%.300s; %.300s)", d.as, d.what, d.body, got[1], got[0], both[1].raw, both[0].raw)
	}
	if !reflect.DeepEqual(asked[0], asked[1]) {
		c.t.Errorf("%q %s %s: the identity server\n got %v\nwant %v", d.as, d.what, d.body, asked[1], asked[0])
	}
	return both
}

// asked is what reached the identity server. Its signature and its length tell nothing.
func (c *talk) asked() any {
	out := []any{}
	for _, r := range c.is.Requests() {
		query, _ := url.ParseQuery(r.Query)
		var body any
		_ = json.Unmarshal(r.Body, &body)
		out = append(out, r.Method, r.Path, query, body, r.Header.Get("Content-Type"), r.Header.Get("User-Agent"))
	}
	return out
}

var credsOf = regexp.MustCompile(`\{\{([^{}]*)\}\}`)

// filled is a line as one side is told it.
func (c *talk) filled(side int, d deed) call {
	a, b, known := c.users[0], c.users[1], c.known[side]
	names := strings.NewReplacer(
		"$A", a, "$B", b, "$N", c.users[2], "$IS", c.is.Name(), "$UP", strings.ToUpper(a),
		"$S", known["session"], "$D", known["device_id"], "$T", known["access_token"],
	)
	body := credsOf.ReplaceAllString(d.body, `{"sid":"$1","client_secret":"s","id_server":"$$IS"}`)
	method, path, _ := strings.Cut(names.Replace(d.what), " ")
	if !strings.HasPrefix(path, "/_matrix") {
		path = r0 + path
	}
	out := call{method: method, path: path, user: names.Replace(d.as)}
	out.body = func(int) string { return names.Replace(body) }
	return out
}

// telling are the members whose values must agree, not only their types.
var telling = []string{
	"errcode", "completed", "flows", "user_id", "home_server", "medium", "address", "validated_at",
	"available", "id_server_unbind_result", "sid", "extra", "soft_logout", "params",
}

// answered is what must agree of an answer.
func answered(r reply) any {
	kind, _, _ := strings.Cut(r.header.Get("Content-Type"), ";")
	var body any
	if json.Unmarshal([]byte(r.raw), &body) != nil {
		body = strings.Contains(r.raw, "<form")
	}
	return []any{r.status, kind, r.header.Get("Access-Control-Allow-Origin"), shape(body)}
}

// shape is a value with only the types of what is of chance, or words.
func shape(value any) any {
	switch v := value.(type) {
	case map[string]any:
		out := map[string]any{}
		for key, member := range v {
			if out[key] = shape(member); slices.Contains(telling, key) {
				out[key] = member
			}
		}
		return out
	case []any:
		out := []any{}
		for _, item := range v {
			out = append(out, shape(item))
		}
		return out
	}
	return fmt.Sprintf("%T", value)
}

// compareState compares what is left: who can log in with what, whose token still lives,
// and who has which addresses.
func (c *talk) compareState() {
	c.t.Helper()
	c.compareAddresses("$A", "$B", "T")
	for _, name := range []string{"$A", "$B", "$N"} {
		for _, password := range []string{"pw0", "pw1"} {
			c.compare(deed{"", "POST /login", `{"type":"m.login.password","user":"` + name + `","password":"` + password + `"}`})
			c.compareAddresses("T")
		}
	}
}

// compareAddresses compares whose token still lives, and which addresses they have.
func (c *talk) compareAddresses(users ...string) {
	c.t.Helper()
	for _, as := range users {
		c.compare(deed{as, "GET /account/3pid", ""})
	}
}
