// SPDX-License-Identifier: Apache-2.0

package sms

import (
	"context"
	"errors"
	"testing"
)

// Every call that may make two messages of one is paid for first, and only such
// a call.
func TestRouterChargesForUncertainty(t *testing.T) {
	for name, tt := range map[string]struct {
		outcomes []error
		repeat   bool
		afford   int
		charged  int
		calls    string
		want     outcome // of the error, if any
	}{
		"certain":                  {[]error{down, auth, nil}, false, 0, 0, "111", outcome{}},
		"one unsure":               {[]error{vanished, nil}, false, 1, 1, "11", outcome{}},
		"unsure, last":             {[]error{down, vanished}, false, 0, 0, "11", outcome{reason: ReasonLost, again: true, unsure: true}},
		"two unsure":               {[]error{vanished, vanished, nil}, false, 9, 2, "111", outcome{}},
		"paid for is not used up":  {[]error{vanished, down, nil}, false, 1, 1, "111", outcome{}},
		"repeat":                   {[]error{nil}, true, 1, 1, "1", outcome{}},
		"repeat, certain":          {[]error{down, nil}, true, 1, 1, "11", outcome{}},
		"repeat, unsure":           {[]error{vanished, nil}, true, 2, 2, "11", outcome{}},
		"cannot afford the second": {[]error{vanished, nil}, false, 0, 1, "10", outcome{reason: ReasonBudget, again: true, unsure: true}},
		"cannot afford the third":  {[]error{vanished, vanished, nil}, false, 1, 2, "110", outcome{reason: ReasonBudget, again: true, unsure: true}},
		"cannot afford the repeat": {[]error{nil}, true, 0, 1, "0", outcome{reason: ReasonBudget, again: true, unsure: true}},
	} {
		t.Run(name, func(t *testing.T) {
			charged, empty := 0, errors.New("nothing left")
			r, all := routeOver(t, RouterConfig{Charge: func(_ context.Context, m Message) error {
				if m.To != number {
					t.Errorf("got a charge for %q", m.To)
				}
				if charged++; charged > tt.afford {
					return empty
				}
				return nil
			}}, tt.outcomes...)
			m := message()
			m.Repeat = tt.repeat
			_, _, err := r.Send(t.Context(), "GB", m)
			calls := ""
			for _, one := range all {
				calls += string(rune('0' + one.count()))
			}
			if calls != tt.calls || charged != tt.charged {
				t.Errorf("got calls %s and %d charges, want %s and %d", calls, charged, tt.calls, tt.charged)
			}
			if tt.want == (outcome{}) {
				if err != nil {
					t.Errorf("got %v", err)
				}
				return
			}
			failed, _ := errors.AsType[*SendError](err)
			if failed == nil || outcomeOf(failed) != tt.want || (tt.want.reason == ReasonBudget) != errors.Is(err, empty) {
				t.Errorf("got %v, want %+v", err, tt.want)
			}
		})
	}
}
