// SPDX-License-Identifier: Apache-2.0

package siege

import (
	"fmt"
	"strings"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/address"
	"github.com/caddy-threepid/caddy-threepid/internal/phone"
)

// mailbox is where mail for an address ends up.
func mailbox(email string) string {
	if strings.HasSuffix(email, below) {
		return below
	}
	return address.AbuseKey(email)
}

// unasked is how many mails somebody has had in a day, at the most, that they have not
// asked for.
func (s *siege) unasked() (most int) {
	mailboxes := map[string][]time.Time{}
	for _, l := range s.site.post.letters {
		if l.sid == "" || s.own[l.sid] {
			continue
		}
		box := mailbox(l.to)
		all := append(mailboxes[box], l.at)
		for l.at.Sub(all[0]) >= 24*time.Hour {
			all = all[1:]
		}
		mailboxes[box] = all
		most = max(most, len(all))
	}
	return most
}

// pumped are the short messages that no honest person has asked for.
type pumped struct {
	all int
	// prefix and country are the most to one of them.
	prefix, country int
}

func (s *siege) pumped() (p pumped) {
	honest := map[string]bool{}
	for _, e := range s.errands {
		honest[e.to] = true
	}
	prefixes, countries := map[string]int{}, map[string]int{}
	for _, l := range s.site.post.letters {
		if !l.sms || honest[l.to] {
			continue
		}
		prefix, country := l.to[:7], phone.RegionOf(l.to)
		prefixes[prefix]++
		countries[country]++
		p = pumped{p.all + 1, max(p.prefix, prefixes[prefix]), max(p.country, countries[country])}
	}
	return p
}

// spent is how much of 100 that is of a day's budget.
func (p pumped) spent() float64 { return percent(p.all, dayOfSMS) }

// String is a cell of the table.
func (p pumped) String() string {
	if p.all == 0 {
		return "none"
	}
	return fmt.Sprintf("%.1f %%: %d, %d to one country, %d to one prefix", p.spent(), p.all, p.country, p.prefix)
}
