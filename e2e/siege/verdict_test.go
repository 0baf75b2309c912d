// SPDX-License-Identifier: Apache-2.0

package siege

import "testing"

// TestEachPromiseCanBeBroken: a run that keeps all of them is told from one that breaks one.
func TestEachPromiseCanBeBroken(t *testing.T) {
	promise := bound{own: 99, registrations: 95, stranger: 5, budget: 20}
	run := func(change func(*row)) []string {
		r := row{
			success:  map[string]float64{reset: 99, add: 99, registration: 95},
			stranger: 5, sms: pumped{all: dayOfSMS / 5}, apart: apartBy,
		}
		change(&r)
		return promise.brokenBy(r)
	}
	if broken := run(func(*row) {}); len(broken) != 0 {
		t.Errorf("got %q of a run that keeps every promise", broken)
	}
	for name, change := range map[string]func(*row){
		"resets": func(r *row) { r.success[reset] = 98 }, "adds": func(r *row) { r.success[add] = 98 },
		"registrations": func(r *row) { r.success[registration] = 94 }, "mails": func(r *row) { r.stranger = 6 },
		"short messages": func(r *row) { r.sms.all++ }, "enumeration": func(r *row) { r.apart /= 2 },
		"nobody came": func(r *row) { delete(r.success, reset) },
	} {
		if broken := run(change); len(broken) != 1 {
			t.Errorf("%s: got %q, want one promise broken", name, broken)
		}
	}
}
