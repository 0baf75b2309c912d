// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"encoding/json"
	"net/http"
	"slices"

	"github.com/caddy-threepid/caddy-threepid/handlers/internal/hsapi"
	"github.com/caddy-threepid/caddy-threepid/handlers/internal/report"
	"github.com/caddy-threepid/caddy-threepid/handlers/internal/route"
	"github.com/caddy-threepid/caddy-threepid/handlers/internal/wire"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// end is how far the homeserver has got with a request.
type end int

const (
	endBroken     end = iota // by a panic: nobody knows
	endUnsent                // it has not seen it, or it has answered the client by itself
	endUnanswered            // it may have acted
	endAnswered
)

// verdict is what is known of a request in the end.
type verdict struct {
	end    end
	answer *wire.Answer // nil if there is none
	// outcome is whether the homeserver has accepted what it was shown.
	outcome verification.Outcome
	// unasked says that it was shown a proof and has not asked about it.
	unasked bool
}

func (v *verdict) succeeded() bool { return v.answer.Status/100 == 2 }

// judge decides whether the homeserver has accepted the proof.
func (j *completion) judge(answer *wire.Answer) verdict {
	v := verdict{end: endAnswered, answer: answer, outcome: verification.Refused}
	switch {
	case v.succeeded():
		v.outcome = verification.Completed
	case answer.Status >= 500:
		v.outcome = verification.Unknown // it may have acted before it failed
	case answer.Status == http.StatusUnauthorized && j.stageCompleted(answer):
		v.outcome = verification.Completed
	}
	return v
}

// stageCompleted reads the UIA 401: the homeserver keeps the proof of a stage
// that it lists as completed.
func (j *completion) stageCompleted(answer *wire.Answer) bool {
	var body struct {
		Completed []string `json:"completed"`
	}
	if json.Unmarshal(answer.Body.Bytes(), &body) != nil {
		return false
	}
	return slices.ContainsFunc(j.credentials, func(c *credential) bool {
		return c.alias != nil && !c.adds() && slices.Contains(body.Completed, c.Stage)
	})
}

// of is what becomes of one session.
//
// A homeserver that has refused a request may keep the proof of a stage all the same.
// Synapse keeps it as soon as it has asked, and looks at the rest of the body
// afterwards: what is wrong there (no password, a name that cannot be) is a 400, and the
// session goes on. Its 401 says which stages it keeps. For a reset no session is passed
// on by itself, see dropLegacySession, so there it is worth nothing, and whoever has chosen a
// bad password may choose another one.
func (v *verdict) of(c *credential, tail string) verification.Outcome {
	switch {
	case v.end != endAnswered:
		return verification.Unknown
	case v.outcome == verification.Refused && !c.adds() && tail != route.TailPassword && v.answer.Status != http.StatusUnauthorized:
		return verification.Kept
	}
	return v.outcome
}

// ofConfirmation is what becomes of the session by which the user has confirmed such a
// request. It is good again if the homeserver has not acted for sure.
func (v *verdict) ofConfirmation() verification.Outcome {
	refused := v.end == endAnswered && !v.succeeded() && v.answer.Status < http.StatusInternalServerError
	idle := v.unasked && (v.end == endUnanswered || v.end == endAnswered && !v.succeeded())
	if v.end == endUnsent || refused || idle {
		return verification.Refused
	}
	return verification.Unknown
}

// misconfiguration reads the answer to a request by which a proof was shown to
// the homeserver. One that refuses it unseen does not know our name; Synapse up
// to 1.3.1 does not say so here, see "threepid_from_creds". An answer by which
// the authentication goes on is the client's (CS API, "User-interactive API in
// the REST API"): there may be another stage to do first.
func (v *verdict) misconfiguration() Misconfiguration {
	if !v.unasked {
		return ""
	}
	switch errcode := wire.ErrcodeOf(v.answer); {
	case v.answer.Status == http.StatusUnauthorized && errcode == wire.CodeUnauthorized && !goesOn(v.answer):
		return NotTrusted
	case v.answer.Status == http.StatusBadRequest && errcode == wire.CodeThreepidAuthFailed:
		return NotTrusted
	}
	return misconfigurationOf(v.answer)
}

// goesOn reports whether an answer is a round of an authentication.
func goesOn(answer *wire.Answer) bool {
	var body struct {
		Session json.RawMessage `json:"session"`
		Flows   json.RawMessage `json:"flows"`
	}
	_ = json.Unmarshal(answer.Body.Bytes(), &body) // what cannot be read has neither
	return body.Session != nil || body.Flows != nil
}

// changes lists the addresses that an account has got by this request.
func (j *completion) changes(v verdict) []report.Change {
	if v.outcome != verification.Completed {
		return nil
	}
	var change report.Change
	adds := false
	switch j.call.Route.Purpose {
	case verification.Add:
		change.Action, adds = "added", true
	case verification.Register:
		change.Action = "registered"
	default:
		return nil // an address was used, and none was changed
	}
	var body struct {
		UserID string `json:"user_id"`
	}
	_ = json.Unmarshal(v.answer.Body.Bytes(), &body) // it is not in every answer
	if j.who != nil {
		body.UserID = j.who.User
	}
	if body.UserID != "" {
		change.User = j.client.svc.Pseudonym(body.UserID)
	}
	var list []report.Change
	for _, c := range j.live() {
		if c.adds() == adds {
			change.Medium, change.Address = c.alias.Medium, j.client.svc.Pseudonym(c.alias.Address)
			list = append(list, change)
		}
	}
	return list
}

// readers are those to be told of what a request has done, if the homeserver has
// done it; see notices.go.
func (j *completion) readers(v verdict) []verification.Reader {
	if !v.succeeded() || !j.client.notices.any() {
		return nil
	}
	var list []verification.Reader
	for _, c := range j.live() {
		proven := hsapi.Threepid{Medium: c.alias.Medium, Address: c.alias.Address}
		switch {
		case j.call.Route.Tail == route.TailPassword:
			list = append(list, readerOf(proven, verification.NoticePassword)...)
		case c.adds(): // to an account that checkOwner has found out
			list = append(list, readersOfAddition(j.who.Listed, proven)...)
		}
	}
	return list
}
