// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"context"
	"crypto/rand"
	"net/http"
	"strings"
)

// trustProbe is a password reset that proves nothing. A homeserver that trusts
// identity_name asks there before it refuses, and so shows that it does. The
// password is random, for the case that a homeserver takes it after all.
func (s *session) trustProbe() any {
	type creds struct {
		SID          string `json:"sid"`
		ClientSecret string `json:"client_secret"`
		IDServer     string `json:"id_server"`
	}
	type auth struct {
		Type  string `json:"type"`
		Creds creds  `json:"threepid_creds"`
	}
	return struct {
		NewPassword string `json:"new_password"`
		Auth        auth   `json:"auth"`
	}{
		"aA1!" + rand.Text(),
		auth{"m.login.email.identity", creds{"doctor", "doctor", s.opts.IdentityName}},
	}
}

// trust sends the probe, and judges the answer together with whether the
// homeserver has asked us. Another client's completion at the same time may be
// taken for the answer to ours; it shows the same.
func (s *session) trust(ctx context.Context, r *results) bool {
	before := s.opts.FaceCalls()
	a := s.askHomeserver(ctx, r, http.MethodPost, "/_matrix/client/r0/account/password", s.trustProbe())
	if a == nil {
		return false
	}
	called := s.opts.FaceCalls() != before
	var refusal matrixError
	isJSON := a.object(&refusal)
	switch {
	case !isJSON:
		r.report(codeNotMatrix, "The answer to a password reset is not that of a Matrix homeserver (%s).", a.kind())
	case a.status/100 == 2:
		r.report(codeNoProofNeeded, "The homeserver has accepted a password reset that proved nothing.")
	case a.status == http.StatusTooManyRequests:
		r.report(codeRateLimited, "The homeserver wants fewer requests, so that this could not be checked now.")
	case a.status == http.StatusUnauthorized:
		s.judgeUnauthorized(r, refusal, called)
	default:
		s.judgeRefusal(r, a.status, refusal, called)
	}
	return true
}

// judgeUnauthorized looks at the answer of a healthy homeserver, and of one
// that did not even ask.
func (s *session) judgeUnauthorized(r *results, refusal matrixError, called bool) {
	switch {
	case called:
	case refusal.Errcode == "M_MISSING_TOKEN":
		r.report(codeResetUnsupported, "The homeserver resets passwords only for those who are logged in, so whether it trusts us cannot be seen this way.")
	case s.native:
		r.report(codeNative, "The homeserver did not ask us, and its versions are those of a Synapse that verifies addresses itself (1.4 and later).")
	default:
		r.report(codeNotTrusted, "The homeserver does not ask %s whether an address was verified.", s.opts.IdentityName)
	}
}

// judgeRefusal looks at everything that is neither a success nor a 401.
func (s *session) judgeRefusal(r *results, status int, refusal matrixError, called bool) {
	text := strings.ToLower(refusal.Error)
	switch {
	case status == http.StatusBadRequest && (strings.Contains(text, "not enabled") || strings.Contains(text, "disabled")):
		r.report(codeResetDisabled, "The homeserver has password resets by email switched off (%s).", refusal.Error)
	case status >= 500 && !called:
		r.report(codeCannotReachUs, "The homeserver fails (status %d, %s) without having reached us at %s.",
			status, refusal.Errcode, s.opts.IdentityName)
	case status >= 500:
		r.report(codeHomeserverError, "The homeserver asked us, and failed over the answer (status %d, %s).", status, refusal.Errcode)
	case !called && (refusal.Errcode == "M_NO_VALID_SESSION" || refusal.Errcode == "M_SESSION_NOT_VALIDATED"):
		// These are an identity server's words, and not ours.
		r.report(codeWrongIdentity, "The homeserver asked an identity server, but it was not us (%s).", refusal.Errcode)
	case status == http.StatusNotFound:
		r.report(codeResetUnsupported, "The homeserver does not know password resets (%s), so whether it trusts us cannot be seen this way.", refusal.Errcode)
	default:
		r.report(codeUnexpected, "The homeserver answers a password reset that proves nothing in an unknown way (status %d, %s).", status, refusal.Errcode)
	}
}
