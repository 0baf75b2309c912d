// SPDX-License-Identifier: Apache-2.0

package hsapi

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
	// OfferTime is how long it is taken for granted what the homeserver offers to
	// those who register. Every registration that passes by tells it anew.
	OfferTime = 5 * time.Minute
	// closedTime is the same for a homeserver that registers nobody: nothing that
	// passes by tells that this has changed, and whoever can have one request
	// refused must not refuse those of others for longer.
	closedTime = 5 * time.Second
)

// Offer is what the homeserver offers to those who register: the flows of its
// 401, or none if it registers nobody (CS API, "POST /register").
type Offer struct {
	Flows  []Flow
	Closed bool
}

// stageOf is the stage of a flow that proves an address.
func stageOf(medium verification.Medium) string {
	if medium == verification.MSISDN {
		return wire.StageMSISDN
	}
	return wire.StageEmail
}

// Has reports whether an address of the medium can be part of a registration.
func (o *Offer) Has(medium verification.Medium) bool {
	return slices.ContainsFunc(o.Flows, func(f Flow) bool { return slices.Contains(f.Stages, stageOf(medium)) })
}

// Reached reports whether somebody who has completed some stages has come to
// the one of a medium, in one flow at least. The stages before it that count
// are those which keep programs and strangers out: not the dummy, and not the
// other medium's, whose message has a gate of its own.
func (o *Offer) Reached(medium verification.Medium, completed []string) bool {
	return slices.ContainsFunc(o.Flows, func(f Flow) bool {
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

// Free reports whether nothing has to be done before.
func (o *Offer) Free(medium verification.Medium) bool { return o.Reached(medium, nil) }

// errNoFlows is an answer to a registration that is none of the API's.
var errNoFlows = errors.New("the homeserver's answer to a registration is not understood")

// ErrNotFromHere answers a client whose question somebody before the homeserver has
// refused: nothing is known of what it offers to others.
var ErrNotFromHere = &wire.MatrixError{
	Status: http.StatusForbidden, Errcode: wire.CodeForbidden, Message: "Registration is not allowed from here",
}

// personal is a failure that was meant for the one who asked, and teaches nothing.
type personal struct{ error }

// Unwrap gives access to the failure.
func (p *personal) Unwrap() error { return p.error }

// readOffer reads the homeserver's answer to a registration without anything in
// it. Only a challenge and a Matrix error say what is offered; whatever else there is
// on the way, like a proxy with rules of its own, speaks of one client.
func readOffer(answer *wire.Answer) (*Offer, error) {
	var body struct {
		Errcode string `json:"errcode"`
		Flows   []Flow `json:"flows"`
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
		return &Offer{Flows: body.Flows}, nil
	case answer.Status/100 == 2 && body.UserID != "": // it registers whoever comes: with no address, and not again for us
		return &Offer{}, nil
	case answer.Status == http.StatusTooManyRequests:
		return nil, &personal{&wire.RefusalError{Answer: answer}}
	case body.Errcode == wire.CodeUnrecognized, refuses && general(body.Errcode):
		return &Offer{Closed: true}, nil
	case refuses:
		return nil, &personal{ErrNotFromHere}
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

// Offers remembers what the homeserver offers. It asks once, however many want
// to know. Why this is not x/sync/singleflight is said in ADR 38.
type Offers struct {
	mu     sync.Mutex
	known  *Offer
	until  time.Time
	flight *flight
}

// flight is a question on its way.
type flight struct {
	done chan struct{}
	err  error // set before done is closed
}

// Learn takes in what the homeserver has said.
func (o *Offers) Learn(known *Offer, now time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.known, o.until = known, now.Add(OfferTime)
	if known.Closed {
		o.until = now.Add(closedTime)
	}
}

// Get returns what is known, or has it asked.
func (o *Offers) Get(ctx context.Context, now func() time.Time, ask func() (*Offer, error)) (*Offer, error) {
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
func (o *Offers) begin(now time.Time) (known *Offer, f *flight, mine bool) {
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

func (o *Offers) lead(f *flight, now func() time.Time, ask func() (*Offer, error)) (found *Offer, err error) {
	defer func() { // also when the handlers behind us panic
		o.mu.Lock()
		defer o.mu.Unlock()
		o.flight = nil
		close(f.done)
	}()
	found, err = ask()
	f.err = err
	if err == nil {
		o.Learn(found, now())
	}
	return found, err
}

// AskOffer asks the homeserver what it offers, the way that the client would. A
// rule that refuses the question on this way may be about this client alone.
func (h *Homeserver) AskOffer(call *wire.Call) (*Offer, error) {
	answer, err := h.Post(call, "register", "", []byte("{}"))
	if err == nil {
		return readOffer(answer)
	}
	if ue, ok := errors.AsType[*wire.UpstreamError](err); ok && ue.Status/100 == 4 {
		return nil, &personal{wire.UpstreamFailure(err)}
	}
	return nil, wire.UpstreamFailure(err)
}

// Flow is one way through a User-Interactive Authentication.
type Flow struct {
	Stages []string `json:"stages"`
}
