// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// denying refuses the addresses of evil.example, and notes what it was asked.
type denying struct {
	asked []string
	off   bool
}

func (d *denying) judge(_ context.Context, email string) bool {
	d.asked = append(d.asked, email)
	return !d.off && strings.HasSuffix(email, "@evil.example")
}

// policed is a rig with that policy.
func policed(t *testing.T, opts options) (*rig, *denying) {
	t.Helper()
	d := &denying{}
	before := opts.config
	opts.config = func(c *Config) {
		if before != nil {
			before(c)
		}
		c.Emails = rules{refused: d.judge}
	}
	return newRig(t, opts), d
}

func emailBody(secret, email string) string {
	return fmt.Sprintf(`{"client_secret":%q,"email":%q,"send_attempt":1}`, secret, email)
}

// TestF16_F22_PolicyRefusesBeforeAnythingElse: nothing is sent, nobody is asked,
// and the policy sees the canonical address only.
func TestF16_F22_PolicyRefusesBeforeAnythingElse(t *testing.T) {
	modes(t, func(t *testing.T, opts options) {
		for _, purpose := range []string{"register", "account/3pid"} {
			r, d := policed(t, opts)
			path := "/_matrix/client/v3/" + purpose + "/email/requestToken"
			wantError(t, r.do("POST", path, emailBody("s", "A@EVIL\u3002example")), http.StatusForbidden, "M_THREEPID_DENIED")
			if got, want := d.asked, []string{"a@evil.example"}; !slices.Equal(got, want) {
				t.Errorf("%s: the policy was asked about %q, want %q", purpose, got, want)
			}
			if r.box.count() != 0 || len(r.hs.Requests()) != 0 {
				t.Errorf("%s: a refused request had an effect", purpose)
			}
			wantStatus(t, r.do("POST", path, emailBody("s", "a@good.example")), http.StatusOK)
			if got := r.box.count(); got != 1 {
				t.Errorf("%s: got %d messages, want 1", purpose, got)
			}
		}
	})
}

// TestPolicyIsNotAskedAboutResets: a rule that came after the account must not
// lock its owner out.
func TestPolicyIsNotAskedAboutResets(t *testing.T) {
	modes(t, func(t *testing.T, opts options) {
		r, d := policed(t, opts)
		r.hs.AddUser("alice", "old", "alice@evil.example")
		sid := r.validated("account/password", "s", "alice@evil.example")
		wantStatus(t, r.reset(resetBody(sid, "s")), http.StatusOK)
		if len(d.asked) != 0 {
			t.Errorf("the policy was asked about %q, want nothing", d.asked)
		}
		r.login("alice", "correct horse")
	})
}

// TestPolicyLeavesOpenSessionsAlone: what was opened before a rule was made can
// be confirmed and completed; asked for again, it is refused.
func TestPolicyLeavesOpenSessionsAlone(t *testing.T) {
	modes(t, func(t *testing.T, opts options) {
		r, d := policed(t, opts)
		d.off = true
		r.hs.AddUser("alice", "pw")
		token := r.login("alice", "pw")
		sid := r.request("account/3pid", "s", "alice@evil.example")
		d.off = false
		wantStatus(t, r.confirm(sid, r.box.last(t).Token), http.StatusOK)
		wantStatus(t, r.add(token, "r0", `{"three_pid_creds":{"sid":"`+sid+`","client_secret":"s"}}`), http.StatusOK)
		wantError(t, r.do("POST", "/_matrix/client/r0/account/3pid/email/requestToken", emailBody("t", "alice@evil.example")),
			http.StatusForbidden, "M_THREEPID_DENIED")
	})
}

// TestAdvisory18_PolicyHoldsOnEveryPath: ma1sd's rule knew r0 only, so that v3
// was the way around it.
func TestAdvisory18_PolicyHoldsOnEveryPath(t *testing.T) {
	const tail = "/register/email/requestToken"
	modes(t, func(t *testing.T, opts options) {
		for _, prefix := range []string{"/_matrix/client/", "/chat/client/"} {
			for _, version := range []string{"r0", "v1", "v3", "v99", "unstable", "api/v1", "v2_alpha"} {
				r, _ := policed(t, opts)
				base := prefix + version
				for _, path := range []string{base + tail, base + tail + "?access_token=x", base + strings.Replace(tail, "register", "account/3pid", 1)} {
					wantError(t, r.do("POST", path, emailBody("s", "a@evil.example")), http.StatusForbidden, "M_THREEPID_DENIED")
				}
				for _, path := range []string{
					base + "/" + tail, "/" + base + tail, base + tail + "/", base + "/register//email/requestToken",
					base + "/register%2femail/requestToken", base + "/register/email%2FrequestToken", base + "/%72egister/email/requestToken",
					base + "/Register/Email/RequestToken", base + "/register/EMAIL/requestToken", base + "/./register/email/requestToken",
					base + "/register/x/../email/requestToken", base + "/register/email/requestToken;x=y", base + "/register/email/requestToken%20",
					base + "/register/email/requestToken%00", base + "/register%5cemail/requestToken",
				} {
					rec := r.do("POST", path, emailBody("s", "a@evil.example"))
					wantError(t, rec, http.StatusNotFound, "M_UNRECOGNIZED")
				}
				if r.box.count() != 0 || len(r.hs.Requests()) != 0 {
					t.Errorf("%s: a way around the policy: %d messages, %v", base, r.box.count(), r.hs.Requests())
				}
			}
		}
	})
}

// TestPolicyIsNotAskedAboutPhones, nor about what is no address.
func TestPolicyIsNotAskedAboutPhones(t *testing.T) {
	d := &denying{}
	r, _ := phoneRig(t, options{config: func(c *Config) { c.Emails = rules{refused: d.judge} }})
	wantStatus(t, r.requestPhone("register", phoneBody("s", "GB", "07400 123456", 1)), http.StatusOK)
	for _, email := range []string{"a@evil.example.", "a@evil.example#@good.example", "a@ev\u00adil.example"} {
		wantError(t, r.do("POST", "/_matrix/client/v3/register/email/requestToken", emailBody("s", email)), http.StatusBadRequest, "M_INVALID_PARAM")
	}
	if len(d.asked) != 0 {
		t.Errorf("the policy was asked about %q, want nothing", d.asked)
	}
}
