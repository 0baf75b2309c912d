// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/caddy-threepid/caddy-threepid/handlers/internal/wire"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

const (
	// offerTime is how long it is taken for granted what the homeserver offers to
	// those who register. Every registration that passes by tells it anew.
	offerTime = 5 * time.Minute
	// closedTime is the same for a homeserver that registers nobody: nothing that
	// passes by tells that this has changed, and whoever can have one request
	// refused must not refuse those of others for longer.
	closedTime = 5 * time.Second
)

// offer is what the homeserver offers to those who register: the flows of its
// 401, or none if it registers nobody (CS API, "POST /register").
type offer struct {
	flows  []flow
	closed bool
}

// stageOf is the stage of a flow that proves an address.
func stageOf(medium verification.Medium) string {
	if medium == verification.MSISDN {
		return wire.StageMSISDN
	}
	return wire.StageEmail
}

// has reports whether an address of the medium can be part of a registration.
func (o *offer) has(medium verification.Medium) bool {
	return slices.ContainsFunc(o.flows, func(f flow) bool { return slices.Contains(f.Stages, stageOf(medium)) })
}

// reached reports whether somebody who has completed some stages has come to
// the one of a medium, in one flow at least. The stages before it that count
// are those which keep programs and strangers out: not the dummy, and not the
// other medium's, whose message has a gate of its own.
func (o *offer) reached(medium verification.Medium, completed []string) bool {
	return slices.ContainsFunc(o.flows, func(f flow) bool {
		end := slices.Index(f.Stages, stageOf(medium))
		return end >= 0 && !slices.ContainsFunc(f.Stages[:end], func(stage string) bool {
			switch stage {
			case wire.StageDummy, wire.StageEmail, wire.StageMSISDN:
				return false
			}
			return !slices.Contains(completed, stage)
		})
	})
}

// free reports whether nothing has to be done before.
func (o *offer) free(medium verification.Medium) bool { return o.reached(medium, nil) }

// errNoFlows is an answer to a registration that is none of the API's.
var errNoFlows = errors.New("the homeserver's answer to a registration is not understood")

// errNotFromHere answers a client whose question somebody before the homeserver has
// refused: nothing is known of what it offers to others.
var errNotFromHere = &wire.MatrixError{
	Status: http.StatusForbidden, Errcode: wire.CodeForbidden, Message: "Registration is not allowed from here",
}

// personal is a failure that was meant for the one who asked, and teaches nothing.
type personal struct{ error }

// Unwrap gives access to the failure.
func (p *personal) Unwrap() error { return p.error }

// readOffer reads the homeserver's answer to a registration without anything in
// it. Only a challenge and a Matrix error say what is offered; whatever else there is
// on the way, like a proxy with rules of its own, speaks of one client.
func readOffer(answer *wire.Answer) (*offer, error) {
	var body struct {
		Errcode string `json:"errcode"`
		Flows   []flow `json:"flows"`
		UserID  string `json:"user_id"`
	}
	_ = json.Unmarshal(answer.Body.Bytes(), &body) // what is not understood is empty
	refuses := false
	switch answer.Status {
	case http.StatusForbidden, http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotImplemented:
		refuses = true
	}
	switch {
	case answer.Status == http.StatusUnauthorized && len(body.Flows) > 0:
		return &offer{flows: body.Flows}, nil
	case answer.Status/100 == 2 && body.UserID != "": // it registers whoever comes: with no address, and not again for us
		return &offer{}, nil
	case answer.Status == http.StatusTooManyRequests:
		return nil, &personal{&wire.Refusal{Answer: answer}}
	case body.Errcode == wire.CodeUnrecognized, refuses && general(body.Errcode):
		return &offer{closed: true}, nil
	case refuses:
		return nil, &personal{errNotFromHere}
	case answer.Status/100 == 4:
		return nil, &personal{wire.UpstreamFailure(fmt.Errorf("%w: status %d", errNoFlows, answer.Status))}
	}
	return nil, wire.UpstreamFailure(fmt.Errorf("%w: status %d", errNoFlows, answer.Status))
}

// general reports whether an error code can say that nobody is registered: Synapse
// 1.3.1 says M_UNKNOWN. The others that come with 403 are about one client or user.
func general(errcode string) bool {
	switch errcode {
	case wire.CodeForbidden, wire.CodeUnknown:
		return true
	}
	return false
}

// offers remembers what the homeserver offers. It asks once, however many want
// to know.
type offers struct {
	mu     sync.Mutex
	known  *offer
	until  time.Time
	flight *flight
}

// flight is a question on its way.
type flight struct {
	done chan struct{}
	err  error // set before done is closed
}

// learn takes in what the homeserver has said.
func (o *offers) learn(known *offer, now time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.known, o.until = known, now.Add(offerTime)
	if known.closed {
		o.until = now.Add(closedTime)
	}
}

// get returns what is known, or has it asked.
func (o *offers) get(ctx context.Context, now func() time.Time, ask func() (*offer, error)) (*offer, error) {
	for {
		known, f, mine := o.begin(now())
		switch {
		case known != nil:
			return known, nil
		case mine:
			return o.lead(f, now, ask)
		}
		select {
		case <-f.done:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		// What was meant for the one who asked does not answer the next, who asks.
		if _, own := errors.AsType[*personal](f.err); f.err != nil && !own {
			return nil, f.err
		}
	}
}

// begin returns what is known or else the question to wait for, which is the
// caller's to ask if it is new.
func (o *offers) begin(now time.Time) (known *offer, f *flight, mine bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case o.known != nil && now.Before(o.until):
		return o.known, nil, false
	case o.flight != nil:
		return nil, o.flight, false
	}
	o.flight = &flight{done: make(chan struct{}), err: wire.ErrNoAnswer}
	return nil, o.flight, true
}

func (o *offers) lead(f *flight, now func() time.Time, ask func() (*offer, error)) (found *offer, err error) {
	defer func() { // also when the handlers behind us panic
		o.mu.Lock()
		defer o.mu.Unlock()
		o.flight = nil
		close(f.done)
	}()
	found, err = ask()
	f.err = err
	if err == nil {
		o.learn(found, now())
	}
	return found, err
}
