// SPDX-License-Identifier: Apache-2.0

package fakehs

import (
	"net/http"
	"slices"
)

// stageToken came with Synapse 1.42, and stands before everything else.
const stageToken = "m.login.registration_token" //nolint:gosec // G101: the name of a stage

// gated puts the stages before the flows of /register that keep programs and
// strangers out, in Synapse's order: the token first, then the captcha, and the
// terms just before the first address.
func (s *Server) gated(flows [][]string) [][]string {
	for i, flow := range flows {
		if s.opts.Terms {
			at := slices.IndexFunc(flow, func(stage string) bool { return stage == stageEmail || stage == stageMSISDN })
			if at < 0 {
				at = len(flow)
			}
			flow = slices.Insert(flow, at, stageTerms)
		}
		if s.opts.CaptchaResponse != "" {
			flow = slices.Insert(flow, 0, stageRecaptcha)
		}
		if s.opts.RegistrationToken != "" {
			flow = slices.Insert(flow, 0, stageToken)
		}
		flows[i] = flow
	}
	return flows
}

// checkCaptcha stands for the answer of the service that Synapse asks.
func (s *Server) checkCaptcha(auth object) (any, error) {
	response, ok := auth["response"]
	switch {
	case !ok:
		return nil, stageFailure(http.StatusBadRequest, "M_CAPTCHA_NEEDED", "Captcha response is required")
	case s.opts.CaptchaResponse == "" || response != s.opts.CaptchaResponse:
		return nil, stageFailure(http.StatusUnauthorized, "M_UNAUTHORIZED", "")
	}
	return true, nil
}

// checkToken compares the token of those who were invited.
func (s *Server) checkToken(auth object) (any, error) {
	token, ok := auth["token"]
	switch {
	case !ok:
		return nil, stageFailure(http.StatusBadRequest, "M_MISSING_PARAM", "Missing registration token")
	case s.opts.RegistrationToken == "" || token != s.opts.RegistrationToken:
		return nil, stageFailure(http.StatusUnauthorized, "M_UNAUTHORIZED", "Invalid registration token")
	}
	return true, nil
}
