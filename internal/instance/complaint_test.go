// SPDX-License-Identifier: Apache-2.0

package instance

import (
	"testing"

	"github.com/caddy-threepid/caddy-threepid/internal/feedback"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// TestAComplaintStopsStrangers, and not the owner; an address that does not exist gets
// nothing from anybody.
func TestAComplaintStopsStrangers(t *testing.T) {
	for kind, wanted := range map[feedback.Kind]string{feedback.Complaint: "", feedback.Bounce: string(feedback.ReasonBounce)} {
		b := newBrittle(t)
		m := verification.Message{Medium: threepid.Email, Address: remembered, Purpose: threepid.Password}
		must(t, b.Suppression.Record(t.Context(), m.ThreePID(), feedback.Report{Kind: kind, Permanent: true}))
		if got, err := b.suppressed(t.Context(), m); err != nil || got == "" {
			t.Errorf("%v: a stranger's mail is sent: %q, %v", kind, got, err)
		}
		m.Wanted = true
		if got, err := b.suppressed(t.Context(), m); err != nil || got != wanted {
			t.Errorf("%v: the owner's own: got %q, %v, want %q", kind, got, err, wanted)
		}
	}
}
