// SPDX-License-Identifier: Apache-2.0

package siege

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
)

// person is honest, and has a network, and an account or wants one.
type person struct {
	*siege
	rnd            *rand.Rand
	from           netip.Addr
	name, password string
	email          string
	token          string // of being logged in
	owner          bool   // somebody wants them locked out
}

// providers are where honest people have their mailboxes, the big ones more often.
var providers = []string{"gmail.com", "gmail.com", "gmail.com", "outlook.com", "outlook.com", "yahoo.com", "web.de", "posteo.de", "uni.example", "firm.example"}

const agent = "Mozilla/5.0 (X11; Linux x86_64) Element/1.5"

// person makes the next one.
func (s *siege) person(kind string) *person {
	n := len(s.people)
	rnd := chance(s.seed, fmt.Sprint("person ", n))
	name := fmt.Sprint(kind, n)
	p := &person{siege: s, rnd: rnd, from: home(rnd, n), name: name, password: "old", email: name + ".person@" + pick(rnd, providers...)}
	s.people = append(s.people, p)
	return p
}

// member makes one who has an account, and is logged in.
func (s *siege) member(kind string) *person {
	p := s.person(kind)
	s.site.hs.AddUser(p.name, p.password, p.email)
	p.logIn()
	return p
}

func (p *person) logIn() {
	a := p.send("login", map[string]any{"type": "m.login.password", "user": p.name, "password": p.password})
	if p.token = a.field("access_token"); p.token == "" {
		p.site.t.Fatalf("log in: %d %s", a.status, a.body)
	}
}

// send sends JSON, as somebody who is not logged in.
func (p *person) send(path string, body map[string]any) answer {
	r := jsonOf(p.from, path, body)
	r.agent = agent
	return p.site.send(r)
}

// sendAs is the same for one who is.
func (p *person) sendAs(path string, body map[string]any) answer {
	r := jsonOf(p.from, path, body)
	r.agent, r.token = agent, p.token
	return p.site.send(r)
}
