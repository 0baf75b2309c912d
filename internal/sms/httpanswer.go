// SPDX-License-Identifier: Apache-2.0

package sms

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The causes of [ReasonAnswer] beside [errGarbled].
var (
	errTooBig  = errors.New("its answer is too large")
	errUnlike  = errors.New("its answer is not like one that takes a message")
	errNoPlace = errors.New("it knows nothing at this URL, or not this kind of request")
)

// matcher is a [Match] that was checked.
type matcher struct {
	Match
	pointer pointer
	points  bool
}

func newMatcher(m Match) (matcher, error) {
	if len(m.Values) > 0 && m.Pointer == "" {
		return matcher{}, errors.New("there are values, and no pointer to compare with them; write: json <pointer> <value...>")
	}
	for _, s := range m.Statuses {
		if s < 200 || s > 599 {
			return matcher{}, fmt.Errorf("%d is no status of an answer; write one from 200 to 599", s)
		}
	}
	p, err := parsePointer(m.Pointer)
	return matcher{Match: m, pointer: p, points: m.Pointer != ""}, err
}

// matches compares an answer. Of one that is too large only the status counts.
func (m matcher) matches(a *answer, document any) bool {
	if len(m.Statuses) > 0 && !slices.Contains(m.Statuses, a.status) {
		return false
	}
	if a.tooBig && (m.points || len(m.Prefixes) > 0) {
		return false
	}
	if m.points {
		got, ok := m.pointer.text(document)
		if !ok || len(m.Values) > 0 && !slices.Contains(m.Values, got) {
			return false
		}
	}
	return len(m.Prefixes) == 0 || slices.ContainsFunc(m.Prefixes, func(p string) bool {
		return strings.HasPrefix(string(a.body), p)
	})
}

// refusal is a [Refusal] that was checked.
type refusal struct {
	matcher
	reason string
}

// verdicts say what answers mean.
type verdicts struct {
	success  matcher
	refusals []refusal
	id       Source
	pointer  pointer // of the id
	now      func() time.Time
}

func newVerdicts(cfg HTTPConfig) (*verdicts, error) {
	v := &verdicts{id: cfg.MessageID, now: time.Now}
	var err error
	if v.success, err = newMatcher(cfg.Success); err != nil {
		return nil, fmt.Errorf("success: %w", err)
	}
	known := []string{ReasonRejected, ReasonAuth, ReasonCredit, ReasonAnswer, ReasonRate, ReasonGateway}
	for _, r := range cfg.Refusals {
		m, err := newMatcher(r.Match)
		switch {
		case err != nil:
			return nil, fmt.Errorf("refusal %s: %w", r.Reason, err)
		case len(r.Statuses) == 0 && r.Pointer == "" && len(r.Prefixes) == 0:
			return nil, fmt.Errorf("refusal %s: would match every answer; write a status, json or prefix", r.Reason)
		case !slices.Contains(known, r.Reason):
			return nil, fmt.Errorf("refusal %s: the reason must be one of %s", r.Reason, strings.Join(known, ", "))
		}
		v.refusals = append(v.refusals, refusal{matcher: m, reason: r.Reason})
	}
	if v.id.Pointer != "" && v.id.Header != "" {
		return nil, errors.New("message_id: is at more than one place; leave one of them out")
	}
	if v.pointer, err = parsePointer(v.id.Pointer); err != nil {
		return nil, fmt.Errorf("message_id: %w", err)
	}
	return v, nil
}

// judge says what an answer means.
func (v *verdicts) judge(a *answer) (Accepted, *SendError) {
	document, _ := decode(a.body)
	for _, r := range v.refusals {
		if r.matches(a, document) {
			return Accepted{}, v.refused(a, r.reason)
		}
	}
	if a.tooBig && a.status/100 == 2 {
		return Accepted{}, &SendError{Reason: ReasonAnswer, Status: a.status, Again: true, Unsure: true, Fault: true, Err: errTooBig}
	}
	if (len(v.success.Statuses) > 0 || a.status/100 == 2) && v.success.matches(a, document) {
		return Accepted{ID: v.messageID(a, document)}, nil
	}
	return Accepted{}, v.byStatus(a)
}

// refused is the error for an answer that says no in a way that was configured.
func (v *verdicts) refused(a *answer, reason string) *SendError {
	e := &SendError{Reason: reason, Status: a.status}
	switch reason {
	case ReasonAuth, ReasonCredit, ReasonAnswer:
		e.Fault = true
	case ReasonRate:
		e.Again, e.Wait = true, v.wait(a)
	case ReasonGateway: // RFC 9110 §15.6: it may have begun
		e.Again, e.Unsure = true, true
	}
	return e
}

// byStatus is the error for an answer that nothing in the configuration is
// about (RFC 9110 §15).
func (v *verdicts) byStatus(a *answer) *SendError {
	switch a.status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusProxyAuthRequired:
		return v.refused(a, ReasonAuth)
	case http.StatusPaymentRequired:
		return v.refused(a, ReasonCredit)
	case http.StatusTooManyRequests:
		return v.refused(a, ReasonRate)
	case http.StatusServiceUnavailable:
		if a.header.Get("Retry-After") != "" {
			return v.refused(a, ReasonRate)
		}
	case http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotAcceptable, http.StatusGone, http.StatusLengthRequired,
		http.StatusUnsupportedMediaType, http.StatusMisdirectedRequest, http.StatusUpgradeRequired:
		// Not the number's fault, but that of who described the request.
		return &SendError{Reason: ReasonAnswer, Status: a.status, Fault: true, Err: errNoPlace}
	case http.StatusRequestTimeout, http.StatusConflict, http.StatusTooEarly:
		return v.refused(a, ReasonGateway)
	}
	switch a.status / 100 {
	case 3:
		return &SendError{Reason: ReasonRedirect, Status: a.status, Fault: true}
	case 4:
		return v.refused(a, ReasonRejected)
	case 5:
		return v.refused(a, ReasonGateway)
	}
	return &SendError{Reason: ReasonAnswer, Status: a.status, Again: true, Unsure: true, Fault: true, Err: errUnlike}
}

// wait reads Retry-After (RFC 9110 §10.2.3).
func (v *verdicts) wait(a *answer) time.Duration {
	text := a.header.Get("Retry-After")
	if seconds, err := strconv.ParseUint(text, 10, 31); err == nil {
		return min(time.Duration(seconds)*time.Second, maxWait)
	}
	if at, err := http.ParseTime(text); err == nil {
		return min(max(at.Sub(v.now()), 0), maxWait)
	}
	return 0
}

// messageID finds the gateway's name for the message. It is no reason to fail:
// the message was taken.
func (v *verdicts) messageID(a *answer, document any) string {
	id := ""
	switch {
	case v.id.Pointer != "":
		id, _ = v.pointer.text(document)
	case v.id.Header != "":
		id = a.header.Get(v.id.Header)
	}
	return clean(id)
}

// clean returns what a gateway has written if it can be kept: printable ASCII,
// and not too much of it.
func clean(text string) string {
	text = strings.TrimSpace(text)
	if len(text) > maxMessageID || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' }) {
		return ""
	}
	return text
}
