// SPDX-License-Identifier: Apache-2.0

package caddymodule_test

import (
	"net/http"
	"testing"
)

// TestWhoWaitsForACodeKeepsTheField: within the pause after a message, whoever asks
// again for the same code keeps the field for it, whatever else stands against another
// message: the last one of the day, or of the budget, is a message all the same.
func TestWhoWaitsForACodeKeepsTheField(t *testing.T) {
	for name, options := range map[string][]string{
		"pause":      nil,
		"per_number": {"per_number 1"},
		"budget":     {"budget total messages 1 per hour", "budget country messages 1 per hour", "budget prefix messages 1 per hour"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newPhoneSite(t, append([]string{"originator default Example", "allow GB", "price default 0.08", "currency EUR", "resend_after 10m"}, options...)...)
			ask := func(secret string, attempt int) (int, any) {
				t.Helper()
				answer, err := s.ask(t.Context(), "192.0.2.1", secret, "07400123456", attempt)
				if err != nil {
					t.Fatal(err)
				}
				return answer.Status, answer.JSON["sid"]
			}
			status, sid := ask("s", 1)
			if again, same := ask("s", 2); status != http.StatusOK || again != http.StatusOK || same != sid {
				t.Errorf("got %d %v and then %d %v, want the same twice", status, sid, again, same)
			}
			if status, _ := ask("another", 1); status != http.StatusTooManyRequests {
				t.Errorf("somebody else got %d, want 429", status)
			}
			s.message("447400123456")
			if sent := len(s.gateway.All()); sent != 1 {
				t.Errorf("%d messages were sent, want 1", sent)
			}
		})
	}
}
