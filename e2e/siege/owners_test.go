// SPDX-License-Identifier: Apache-2.0

package siege

import (
	"net/http"
	"strings"
	"time"
)

// lockOut asks for all sorts of mails to the owners' mailboxes, in all spellings.
func lockOut(a *attack) request {
	o := pick(a.rnd, a.owned()...)
	r := a.mail(a.from(a.rnd), pick(a.rnd, "account/password", "account/password", "register", "account/3pid"), spelling(a, o))
	r.agent = agent
	return r
}

// owned are the mailboxes of owners.
func (s *siege) owned() (all []string) {
	for _, p := range s.people {
		if p.owner {
			all = append(all, p.email, "second."+p.email)
		}
	}
	return all
}

// prefetch has the owners' mail programs unsubscribe from every mail that their owners
// have not asked for.
func (a *attack) prefetch() {
	owned := map[string]bool{}
	for _, email := range a.owned() {
		owned[mailbox(email)] = true
	}
	a.site.post.seen = func(l letter) {
		if l.sid == "" || !owned[mailbox(l.to)] {
			return
		}
		link, _ := l.unsubscribe()
		a.line.in(2*time.Second, func() {
			if !a.own[l.sid] {
				a.site.send(request{
					from: in24(61, 1, 1), method: http.MethodPost, target: strings.TrimPrefix(link, publicURL),
					body: "List-Unsubscribe=One-Click", kind: "application/x-www-form-urlencoded", agent: "a mail program",
				})
			}
		})
	}
}
