// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"net/http"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// TestWhatMayHaveBeenSentIsPaid: a message is not free because nobody knows that
// it was written. Whichever write looks as if it had failed, there are never more
// messages than were paid for.
func TestWhatMayHaveBeenSentIsPaid(t *testing.T) {
	modes(t, func(t *testing.T, opts options) {
		found := 0
		for at := 1; at <= 12; at++ {
			disk := &breaking{writes: true}
			opts.service = func(c *verification.Config) {
				disk.Store = c.Store
				c.Store = disk
			}
			r, p := phoneRig(t, opts)
			disk.arm(at, true)
			rec := r.requestPhone("account/3pid", phoneBody("s", "GB", "07400 123456", 1))
			if sent := len(r.box.messages); sent > p.spent() {
				t.Errorf("write %d: %d messages are written, %d paid for", at, sent, p.spent())
			} else if sent == 1 && rec.Code != http.StatusOK {
				found++
			}
		}
		if found == 0 {
			t.Error("no write of a message has failed")
		}
	})
}
