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

// daily counts what comes to somebody, or to some place, in the last 24 hours.
type daily struct {
	last map[string][]time.Time
	most int // that there ever were
}

func (d *daily) count(where string, at time.Time) {
	if d.last == nil {
		d.last = map[string][]time.Time{}
	}
	all := append(d.last[where], at)
	for at.Sub(all[0]) >= 24*time.Hour {
		all = all[1:]
	}
	d.last[where] = all
	d.most = max(d.most, len(all))
}

// unasked is how many mails somebody has had in a day, at the most, that they have not
// asked for.
func (s *siege) unasked() int {
	var mails daily
	for _, l := range s.site.post.letters {
		if l.sid != "" && !s.own[l.sid] {
			mails.count(mailbox(l.to), l.at)
		}
	}
	return mails.most
}

// pumped are the most short messages in a day that no honest person has asked for: in all,
// to one country, and to one prefix.
type pumped struct{ all, country, prefix int }

func (s *siege) pumped() pumped {
	honest := map[string]bool{}
	for _, e := range s.errands {
		honest[e.to] = true
	}
	var all, countries, prefixes daily
	for _, l := range s.site.post.letters {
		if l.sms && !honest[l.to] {
			all.count("", l.at)
			countries.count(phone.RegionOf(l.to), l.at)
			prefixes.count(l.to[:7], l.at)
		}
	}
	return pumped{all.most, countries.most, prefixes.most}
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
