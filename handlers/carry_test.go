// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"context"
	"net/http"
	"strings"
	"testing"
)

// TestAddressThatNoRelayCarriesIsRefused at once, for every purpose, in the same
// words whether or not there is an account with it, and before anybody is asked.
func TestAddressThatNoRelayCarriesIsRefused(t *testing.T) {
	modes(t, func(t *testing.T, opts options) {
		asked := 0
		opts.config = func(c *Config) {
			c.Emails = rules{cannotCarry: func(_ context.Context, address string) bool {
				asked++
				return strings.HasPrefix(address, "müller@")
			}}
		}
		r := newRig(t, opts)
		r.hs.AddUser("alice", "old", "müller@example.org")
		body := func(email string) string {
			return `{"client_secret":"s","email":"` + email + `","send_attempt":1}`
		}
		before := len(r.hs.Requests())
		answers := map[string]bool{}
		for _, purpose := range []string{"register", "account/password", "account/3pid"} {
			for _, email := range []string{"müller@example.org", "Müller@example.org", "müller@elsewhere.example"} {
				rec := r.do("POST", "/_matrix/client/v3/"+purpose+"/email/requestToken", body(email))
				wantError(t, rec, http.StatusBadRequest, "M_INVALID_PARAM")
				wantCORS(t, rec)
				answers[rec.Body.String()] = true
			}
		}
		if len(answers) != 1 || len(r.hs.Requests()) != before || r.box.count() != 0 || asked != 9 {
			t.Errorf("got %d answers, %d requests to the homeserver and %d messages", len(answers), len(r.hs.Requests())-before, r.box.count())
		}
		wantStatus(t, r.do("POST", "/_matrix/client/v3/register/email/requestToken", body("mueller@example.org")), http.StatusOK)
	})
}
