// SPDX-License-Identifier: Apache-2.0

package siege

import (
	"fmt"
	"net/netip"
	"strings"
)

// tricks are what an attacker mixes, by how often each comes.
var tricks = []struct {
	weight int
	make   func(*attack, netip.Addr) request
}{
	{25, (*attack).resetUnknown},
	{20, (*attack).resetKnown},
	{15, (*attack).bother},
	{20, (*attack).register},
	{10, (*attack).pretend},
	{10, (*attack).pump},
}

// mixed is any of them.
func mixed(a *attack) request {
	n := a.rnd.IntN(100)
	for _, t := range tricks {
		if n -= t.weight; n < 0 {
			r := t.make(a, a.from(a.rnd))
			r.agent = agent
			return r
		}
	}
	panic("the weights of the tricks do not add up to 100")
}

// mail asks for one.
func (a *attack) mail(from netip.Addr, purpose, email string) request {
	return jsonOf(from, purpose+"/email/requestToken", map[string]any{
		"client_secret": fmt.Sprint("evil", a.n), "email": email, "send_attempt": 1,
	})
}

// nobody is an address that was not there before.
func (a *attack) nobody() string { return fmt.Sprintf("nobody%d@%s", a.n, pick(a.rnd, providers...)) }

func (a *attack) resetUnknown(from netip.Addr) request {
	return a.mail(from, "account/password", a.nobody())
}

// resetKnown is for one of the half of all people whose addresses have leaked.
func (a *attack) resetKnown(from netip.Addr) request {
	return a.mail(from, "account/password", a.people[a.rnd.IntN(len(a.people)/2)].email)
}

// The stranger has a mailbox at a provider that ignores dots, and one at a provider where
// all names below one's own lead there.
const (
	dotted = "janedoe@gmail.com"
	below  = "jane-doe.fastmail.com"
)

// spelled is a spelling of one of the stranger's mailboxes.
func (a *attack) spelled() string {
	if a.rnd.IntN(2) == 0 {
		return fmt.Sprintf("x%d@s%d.%s", a.n, a.rnd.IntN(1000), below)
	}
	return spelling(a, dotted)
}

// spelling has dots, capitals and a tag.
func spelling(a *attack, email string) string {
	local, domain, _ := strings.Cut(email, "@")
	var b strings.Builder
	for i, c := range local {
		if i > 0 && a.rnd.IntN(3) == 0 && domain == "gmail.com" && c != '.' && local[i-1] != '.' {
			b.WriteByte('.')
		}
		if a.rnd.IntN(4) == 0 {
			b.WriteString(strings.ToUpper(string(c)))
			continue
		}
		b.WriteRune(c)
	}
	if a.rnd.IntN(2) == 0 {
		fmt.Fprintf(&b, "+t%d", a.rnd.IntN(1000))
	}
	return b.String() + "@" + domain
}

// bother has the stranger get mails.
func (a *attack) bother(from netip.Addr) request {
	return a.mail(from, pick(a.rnd, "register", "account/password", "account/3pid"), a.spelled())
}

// begun is one of how many requests for a registration begins one.
const begun = 50

// register asks for the mail of the registration that was begun last. No captcha is solved.
func (a *attack) register(from netip.Addr) request {
	if a.session == "" || a.rnd.IntN(begun) == 0 {
		r := jsonOf(from, "register", map[string]any{"username": fmt.Sprint("evil", a.n), "password": "evil"})
		a.session = a.site.send(r).field("session")
	}
	r := a.mail(from, "register", a.nobody())
	r.body = strings.Replace(r.body, "{", `{"next_link":"`+nextLink+a.session+`",`, 1)
	return r
}

// pretend is an add with a token that nobody has.
func (a *attack) pretend(from netip.Addr) request {
	r := a.mail(from, "account/3pid", a.nobody())
	r.token = fmt.Sprint("made-up-", a.n)
	return r
}

// numbers are those that an attacker earns on, and some that look like anybody's: country,
// beginning, how many digits follow.
var numbers = []struct {
	country, begin string
	digits         int
}{
	{"GB", "+447400", 6},
	{"GB", "+447520", 6},
	{"DE", "+491512", 7},
	{"FR", "+33612", 6},
	{"LV", "+3712912", 4},
	{"BD", "+88017121", 5},
	{"AZ", "+9945021", 5},
	{"TN", "+216201", 5},
	{"US", "+881631", 7},
	{"US", "+8821612", 5},
	{"US", "+883510012", 6},
	{"US", "+870773", 6},
}

// pump asks for a short message.
func (a *attack) pump(from netip.Addr) request {
	n := pick(a.rnd, numbers...)
	phone := n.begin
	for range n.digits {
		phone += string(rune('0' + a.rnd.IntN(10)))
	}
	return jsonOf(from, pick(a.rnd, "register", "account/3pid")+"/msisdn/requestToken", map[string]any{
		"client_secret": fmt.Sprint("evil", a.n), "country": n.country, "phone_number": phone, "send_attempt": 1,
	})
}
