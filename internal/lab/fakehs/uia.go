// SPDX-License-Identifier: Apache-2.0

package fakehs

import (
	"crypto/rand"
	"errors"
	"maps"
	"net/http"
	"slices"
	"time"
)

// The stages of interactive authentication that a flow may contain.
const (
	stagePassword  = "m.login.password"
	stageDummy     = "m.login.dummy"
	stageTerms     = "m.login.terms"
	stageRecaptcha = "m.login.recaptcha"
	stageEmail     = "m.login.email.identity"
	stageMSISDN    = "m.login.msisdn"
)

// sessionLife is how long a session is kept after each use of it, and sweepEvery
// how often those are forgotten that are older (handlers/auth.py, SESSION_EXPIRE_MS;
// util/caches/expiringcache.py).
const (
	sessionLife = 48 * time.Hour
	sweepEvery  = sessionLife / 2
)

// session is one run of interactive authentication. It is bound to no endpoint, no
// user and no purpose, and never consumed: what was proven in it counts at every
// endpoint, as often as anybody likes who knows its ID.
type session struct {
	id         string
	params     object         // the last body that had more in it than auth
	creds      map[string]any // by stage: what the stage proved
	completed  []string       // the stages, in the order of completion
	registered string         // the user ID that /register made in it
	used       time.Time      // when it was last looked up, for whatever reason
}

// authResult is a completed authentication.
type authResult struct {
	creds   map[string]any
	params  object
	session string
}

// threepid is what an email or msisdn stage proved, or nil.
func (r authResult) threepid(stage string) object {
	found, _ := r.creds[stage].(object)
	return found
}

// authOf is the auth object of a body: its keys, and whether there was one that is not
// empty. A list or a text counts as one without keys, unless there is "session" in it.
func authOf(body object) (keys object, given bool, err error) {
	value, ok := body["auth"]
	if !ok {
		return nil, false, nil
	}
	_, _, err = member(value, "session")
	keys, _ = value.(object)
	return keys, truthy(value), err
}

// openSession finds a session or makes one; an unknown ID gives a new session with
// an ID of its own. The caller holds s.mu.
func (s *Server) openSession(id any) (*session, error) {
	if !hashable(id) {
		return nil, errWrongType
	}
	name, _ := id.(string)
	if found := s.findSession(name); found != nil {
		return found, nil
	}
	fresh := &session{id: rand.Text()[:24], creds: make(map[string]any), used: s.opts.Now()}
	s.uia[fresh.id] = fresh
	s.names = append(s.names, fresh.id)
	return fresh, nil
}

// findSession looks a session up, which begins its 48 hours anew. One that is older
// lives until it is swept up, once a day. The caller holds s.mu.
func (s *Server) findSession(id string) *session {
	now := s.opts.Now()
	swept := s.begun.Add(now.Sub(s.begun).Truncate(sweepEvery))
	maps.DeleteFunc(s.uia, func(_ string, sess *session) bool { return swept.Sub(sess.used) > sessionLife })
	found := s.uia[id]
	if found != nil {
		found.used = now
	}
	return found
}

// checkAuth runs one round of interactive authentication. It takes auth out of the
// body, keeps the rest of it if there is any, and otherwise uses what an earlier
// round kept.
func (s *Server) checkAuth(x *exchange, flows [][]string, body object, forReset bool) (authResult, error) {
	auth, given, err := authOf(body)
	if err != nil {
		return authResult{}, err
	}
	whole := body["auth"]
	delete(body, "auth")

	s.mu.Lock()
	sess, err := s.openSession(auth["session"])
	if err != nil {
		s.mu.Unlock()
		return authResult{}, err
	}
	if len(body) > 0 {
		sess.params = maps.Clone(body)
	}
	params := sess.params
	s.mu.Unlock()

	if !given {
		return authResult{}, &incomplete{s.flowsOf(flows, sess.id)}
	}
	if _, _, err := member(whole, "type"); err != nil {
		return authResult{}, err
	}
	failure, err := s.attemptStage(x, sess, auth, forReset)
	if err != nil {
		return authResult{}, err
	}

	s.mu.Lock()
	defer s.mu.Unlock()
	for _, flow := range flows {
		missing := func(stage string) bool { return sess.creds[stage] == nil }
		if !slices.ContainsFunc(flow, missing) {
			return authResult{maps.Clone(sess.creds), params, sess.id}, nil
		}
	}
	result := s.flowsOf(flows, sess.id)
	result["completed"] = append([]string{}, sess.completed...)
	maps.Copy(result, failure)
	return authResult{}, &incomplete{result}
}

// attemptStage tries the stage that auth names, if it names one. A failed stage is
// returned as the fields to merge into the 401, except for email: there Synapse
// answers with the bare error, because an old client sent a new mail at every 401
// that had flows in it.
func (s *Server) attemptStage(x *exchange, sess *session, auth object, forReset bool) (object, error) {
	value, ok := auth["type"]
	if !ok {
		return nil, nil
	}
	if !hashable(value) {
		return nil, errWrongType
	}
	stage, _ := value.(string)
	proof, err := s.checkStage(x, stage, auth, forReset)
	var failed *apiError
	if errors.As(err, &failed) && failed.stage && stage != stageEmail {
		return failed.envelope(), nil
	}
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	sess.prove(stage, proof)
	return nil, nil
}

// flowsOf is the body of the 401.
func (s *Server) flowsOf(flows [][]string, id string) object {
	list, params := make([]object, len(flows)), object{}
	for i, f := range flows {
		list[i] = object{"stages": f}
		for _, stage := range f {
			switch stage {
			case stageRecaptcha:
				params[stage] = object{"public_key": captchaKey}
			case stageTerms:
				params[stage] = object{"policies": object{"privacy_policy": object{
					"version": "1", "en": object{"name": "Privacy Policy", "url": termsURL},
				}}}
			}
		}
	}
	return object{"session": id, "flows": list, "params": params}
}

// confirmUser has the owner of an access token prove the password, or an address where
// that is an option, and returns the parameters of the request.
func (s *Server) confirmUser(x *exchange, d device, body object) (object, error) {
	flows := [][]string{{stagePassword}}
	if s.opts.ConfirmByAddress {
		flows = append(flows, []string{stageEmail}, []string{stageMSISDN})
	}
	result, err := s.checkAuth(x, flows, body, false)
	if err != nil {
		return nil, err
	}
	if result.creds[stagePassword] == d.userID {
		return result.params, nil
	}
	for _, flow := range flows[1:] {
		stage := flow[0]
		found := result.threepid(stage)
		if owner, err := s.lookupOwner(found["medium"], found["address"]); err == nil && owner == d.userID {
			return result.params, nil
		}
	}
	return nil, fail(http.StatusForbidden, "M_FORBIDDEN", "Invalid auth")
}
