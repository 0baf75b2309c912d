// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/internal/verification"
	"github.com/caddy-threepid/caddy-threepid/store/storetest"
)

// TestWhatMayHaveBeenSentIsPaid: a message is not free because nobody knows that
// it was written. Whichever write looks as if it had failed, there are never more
// messages than were paid for.
func TestWhatMayHaveBeenSentIsPaid(t *testing.T) {
	modes(t, func(t *testing.T, opts options) {
		found := 0
		for at, met := 1, true; met; at++ {
			disk := &storetest.Breaking{Err: errDisk}
			opts.service = func(c *verification.Config) {
				disk.Store = c.Store
				c.Store = disk
			}
			r, p := phoneRig(t, opts)
			disk.Arm(at)
			rec := r.requestPhone("account/3pid", phoneBody("s", "GB", "07400 123456", 1))
			met = disk.Broke() != ""
			if !strings.HasPrefix(disk.Broke(), storetest.Committed) {
				continue // it was not written
			}
			if sent := len(r.box.messages); sent > p.spent() {
				t.Errorf("operation %d: %d messages are written, %d paid for", at, sent, p.spent())
			} else if sent == 1 && rec.Code != http.StatusOK {
				found++
			}
		}
		if found == 0 {
			t.Error("no write of a message has failed")
		}
	})
}
