// SPDX-License-Identifier: Apache-2.0

package siege

import (
	"fmt"
	"strings"
	"time"
)

// row is what has become of a siege.
type row struct {
	attacker attacker
	requests int
	refused  float64            // of 100 requests of the attacker
	success  map[string]float64 // of 100 errands of a kind
	errands  map[string]int
	stranger int // the most mails to one mailbox in a day that its owner has not asked for
	sms      pumped
	cost     time.Duration // of a refused request
	// apart is the least p-value of what may tell who has an account, and telling what
	// that is.
	apart   float64
	telling string
}

// sum counts.
func (s *siege) sum() row {
	r := row{
		attacker: s.attack.attacker, requests: s.attack.n, success: map[string]float64{}, errands: map[string]int{},
		cost: median(s.attack.refusals),
	}
	done := map[string]int{}
	for _, e := range s.errands {
		if s.attack.owners && !e.owner {
			continue
		}
		r.errands[e.kind]++
		if e.done {
			done[e.kind]++
		}
	}
	for kind, n := range r.errands {
		r.success[kind] = percent(done[kind], n)
	}
	turned := 0
	if s.attack.curious {
		r.requests, turned = s.probes.asked, s.probes.turned
	}
	for status, n := range s.attack.statuses {
		if refused(status) {
			turned += n
		}
	}
	r.refused = percent(turned, r.requests)
	r.stranger = s.unasked()
	r.sms = s.pumped()
	r.apart, r.telling = s.probes.apart()
	return r
}

func percent(part, of int) float64 {
	if of == 0 {
		return 0
	}
	return 100 * float64(part) / float64(of)
}

// table is Markdown.
func table(rows []row) string {
	var b strings.Builder
	b.WriteString("| attacker | requests | refused | resets | adds | adds by phone | registrations | unasked mails to one mailbox, a day | SMS in a day, of its budget | a refused request | known against unknown |\n")
	b.WriteString("|---|---|---|---|---|---|---|---|---|---|---|\n")
	for _, r := range rows {
		fmt.Fprintf(&b, "| %s | %d | %.1f %% |", r.attacker.name, r.requests, r.refused)
		for _, kind := range []string{reset, add, addPhone, registration} {
			if r.errands[kind] == 0 {
				b.WriteString(" – |")
				continue
			}
			fmt.Fprintf(&b, " %.1f %% of %d |", r.success[kind], r.errands[kind])
		}
		fmt.Fprintf(&b, " %d | %s | %s |", r.stranger, r.sms, r.cost.Round(time.Microsecond))
		if r.telling == "" {
			b.WriteString(" the same |\n")
			continue
		}
		fmt.Fprintf(&b, " p ≥ %.2g, by %s |\n", r.apart, r.telling)
	}
	return b.String()
}
