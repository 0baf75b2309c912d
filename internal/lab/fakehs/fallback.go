// SPDX-License-Identifier: Apache-2.0

package fakehs

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
)

// What the pages and the 401 tell of the captcha and of the terms.
const (
	captchaKey = "public"
	termsURL   = "/_matrix/consent?v=1"
)

// page is an answer in HTML.
type page string

func (p page) send(w http.ResponseWriter, status int) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Length", strconv.Itoa(len(p)))
	w.WriteHeader(status)
	_, _ = w.Write([]byte(p)) // a client that is gone cannot be told so
}

// The pages, as far as a client or a proxy can tell. Synapse escapes nothing in
// them: whatever is given as the session stands there, the real name too.
const (
	captchaPage = `<html><head><title>Authentication</title></head><body>
<form id="registrationForm" method="post" action="/_matrix/client/r0/auth/m.login.recaptcha/fallback/web">
<input type="hidden" name="session" value="%s" />
<div class="g-recaptcha" data-sitekey="` + captchaKey + `" data-callback="captchaDone"></div>
</form></body></html>
`
	termsPage = `<html><head><title>Authentication</title></head><body>
<form id="registrationForm" method="post" action="/_matrix/client/r0/auth/m.login.terms/fallback/web">
<a href="` + termsURL + `">privacy policy</a>
<input type="hidden" name="session" value="%s" /><input type="submit" value="Agree" />
</form></body></html>
`
	successPage = `<html><head><title>Success!</title></head><body>
<script>if (window.onAuthDone) { window.onAuthDone(); } else if (window.opener && window.opener.postMessage) {
window.opener.postMessage("authDone", "*"); }</script><p>Thank you</p></body></html>
`
)

var errUnknownStage = fail(http.StatusNotFound, "M_UNKNOWN", "Unknown auth stage type")

// fallbackArgs are the parameters of a page: Twisted puts those of the query and
// those of a form into one place, the query's first.
func fallbackArgs(x *exchange) (args url.Values, session string, err error) {
	args = x.req.URL.Query()
	if form, err := url.ParseQuery(string(x.body)); err == nil && x.req.Method == http.MethodPost {
		for key, values := range form {
			args[key] = append(args[key], values...)
		}
	}
	if session = args.Get("session"); session == "" {
		err = fail(http.StatusBadRequest, "M_UNKNOWN", "No session supplied")
	}
	return args, session, err
}

// getFallback is GET /auth/{stage}/fallback/web. The session need not exist.
func (s *Server) getFallback(x *exchange) (int, any, error) {
	_, session, err := fallbackArgs(x)
	if err != nil {
		return 0, nil, err
	}
	switch x.vars[0] {
	case stageRecaptcha:
		return http.StatusOK, page(fmt.Sprintf(captchaPage, session)), nil
	case stageTerms:
		return http.StatusOK, page(fmt.Sprintf(termsPage, session)), nil
	}
	return 0, nil, errUnknownStage
}

// postFallback is POST /auth/{stage}/fallback/web: it puts the proof of a stage into
// any session, at no endpoint. With Python 3, 1.3.1 fails with a 500 at the terms;
// this is what it does with Python 2.
func (s *Server) postFallback(x *exchange) (int, any, error) {
	args, session, err := fallbackArgs(x)
	if err != nil {
		return 0, nil, err
	}
	stage := x.vars[0]
	switch stage {
	case stageRecaptcha:
		response := args.Get("g-recaptcha-response")
		if response == "" {
			return 0, nil, fail(http.StatusBadRequest, "M_UNKNOWN", "No captcha response supplied")
		}
		if _, err := s.checkCaptcha(object{"response": response}); err != nil {
			return 0, nil, err
		}
	case stageTerms:
	default:
		return 0, nil, errUnknownStage
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	sess, err := s.openSession(session)
	if err != nil {
		return 0, nil, err
	}
	sess.prove(stage, true)
	return http.StatusOK, page(successPage), nil
}

// prove keeps what a stage has proven. The caller holds the server's mu.
func (sess *session) prove(stage string, proof any) {
	if _, again := sess.creds[stage]; !again {
		sess.completed = append(sess.completed, stage)
	}
	sess.creds[stage] = proof
}
