// SPDX-License-Identifier: Apache-2.0

package admin

import (
	"context"
	"time"

	"github.com/caddy-threepid/caddy-threepid/caddymodule"
	"github.com/caddy-threepid/caddy-threepid/internal/instance"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
)

// FoundAddress is why a person has got a message or not: everything that is known
// here of their address, but for what others are told in confidence: no token, no
// secret, no client. The address is not in it, only where a relay has repeated it.
type FoundAddress struct {
	Medium string `json:"medium"`
	// Pseudonym is what logs of today call the address.
	Pseudonym string `json:"pseudonym"`
	// Suppressed is there if the address gets no messages.
	Suppressed *Suppressed `json:"suppressed,omitempty"`
	// Unwanted is until when its owner wants none: "I did not ask for this".
	Unwanted *time.Time `json:"unwanted,omitempty"`
	// Denied is the rule of email_policy that refuses the address where somebody
	// registers or adds it.
	Denied   string       `json:"denied,omitempty"`
	Limits   []LimitUse   `json:"limits"`
	Messages []FoundState `json:"messages"`
	More     bool         `json:"more,omitempty"`
}

// LimitUse is how far a limit is used up that requests for the address meet,
// whoever makes them.
type LimitUse struct {
	Limit   string `json:"limit"`
	Purpose string `json:"purpose,omitempty"`
	// Used and Of count requests in so many seconds; zero where it is not a count
	// that refuses.
	Used    int `json:"used"`
	Of      int `json:"of"`
	Seconds int `json:"seconds"`
	// Until is when the next request passes; it is there if none does now.
	Until *time.Time `json:"until,omitempty"`
	// Always says that none ever does.
	Always bool `json:"always,omitempty"`
}

// FoundState is one session, with the newest of its messages.
type FoundState struct {
	SessionInfo
	// Spelling says that it is about another spelling of the same mailbox.
	Spelling bool `json:"spelling,omitempty"`
	// Reply is what was last said when a message was not taken.
	Reply   string     `json:"reply,omitempty"`
	ReplyAt *time.Time `json:"reply_at,omitempty"`
	// Deliveries is how often a message that still waits was tried, and Next when
	// it will be again.
	Deliveries int        `json:"deliveries,omitempty"`
	Next       *time.Time `json:"next,omitempty"`
}

func findAddress(ctx context.Context, app *caddymodule.App, req AddressRequest) (any, error) {
	return onAddress(app, req, func(inst *instance.Instance, id threepid.ThreePID) (any, error) {
		found, err := inst.Find(ctx, id)
		if err != nil {
			return nil, err
		}
		return foundOf(id.Medium, found), nil
	})
}

func foundOf(medium threepid.Medium, f *instance.Found) *FoundAddress {
	found := &FoundAddress{
		Medium: string(medium), Pseudonym: f.Pseudonym, Unwanted: known(f.Unwanted), Denied: f.Denied,
		Limits: []LimitUse{}, Messages: []FoundState{}, More: f.More,
	}
	if e := f.Suppressed; e != nil {
		found.Suppressed = &Suppressed{
			Pseudonym: f.Pseudonym, Medium: string(medium), Reason: string(e.Reason), Code: e.Code, Since: e.Since, Until: e.Until,
		}
	}
	for _, l := range f.Limits {
		found.Limits = append(found.Limits, LimitUse{
			Limit: l.Limit, Purpose: string(l.Purpose), Used: l.Used, Of: l.Of, Seconds: int(l.Per / time.Second),
			Until: known(l.Until), Always: l.Always,
		})
	}
	for _, m := range f.Messages {
		state := FoundState{SessionInfo: infoOf(m.Admin), Spelling: m.Spelling, Deliveries: m.Waiting.Tries, Next: known(m.Waiting.Next)}
		if m.Reply.Text != "" {
			state.Reply, state.ReplyAt = m.Reply.Text, known(time.UnixMilli(m.Reply.At))
		}
		found.Messages = append(found.Messages, state)
	}
	return found
}
