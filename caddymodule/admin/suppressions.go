// SPDX-License-Identifier: Apache-2.0

package admin

import (
	"context"
	"time"

	"github.com/caddy-threepid/caddy-threepid/caddymodule"
	"github.com/caddy-threepid/caddy-threepid/internal/feedback"
	"github.com/caddy-threepid/caddy-threepid/internal/instance"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
)

// Suppressions are the addresses that get no mail.
type Suppressions struct {
	Suppressions []Suppressed `json:"suppressions"`
	// More says that there are others.
	More bool `json:"more"`
}

// Suppressed is one of them.
type Suppressed struct {
	Pseudonym string    `json:"pseudonym"`
	Medium    string    `json:"medium"`
	Reason    string    `json:"reason"`
	Code      string    `json:"code,omitempty"`
	Since     time.Time `json:"since"`
	Until     time.Time `json:"until"`
}

func listSuppressions(ctx context.Context, app *caddymodule.App) (any, error) {
	inst, release, err := serving(app)
	if err != nil {
		return nil, err
	}
	defer release()
	list, more, err := inst.Suppression.List(ctx, instance.MaxListed)
	answer := Suppressions{Suppressions: []Suppressed{}, More: more}
	for _, l := range list {
		answer.Suppressions = append(answer.Suppressions, Suppressed{
			Pseudonym: l.Pseudonym, Medium: string(l.Medium), Reason: string(l.Reason), Code: l.Code, Since: l.Since, Until: l.Until,
		})
	}
	return answer, err
}

// Suppressing is what became of an operator's word about an address.
type Suppressing struct {
	// Until is how long an address gets no mail from now on.
	Until *time.Time `json:"until,omitempty"`
	// Removed says that there was something to be removed.
	Removed bool `json:"removed,omitempty"`
}

// manualTime is how long an operator's word holds.
const manualTime = 365 * 24 * time.Hour

func suppress(ctx context.Context, app *caddymodule.App, req AddressRequest) (any, error) {
	return onAddress(app, req, func(inst *instance.Instance, id threepid.ThreePID) (any, error) {
		until := time.Now().Add(manualTime)
		return Suppressing{Until: &until}, inst.Suppression.Add(ctx, id, feedback.ReasonManual, until)
	})
}

func unsuppress(ctx context.Context, app *caddymodule.App, req AddressRequest) (any, error) {
	return onAddress(app, req, func(inst *instance.Instance, id threepid.ThreePID) (any, error) {
		removed, err := inst.Suppression.Remove(ctx, id)
		return Suppressing{Removed: removed}, err
	})
}

// onAddress does something with an address as it is stored.
func onAddress(app *caddymodule.App, req AddressRequest, do func(*instance.Instance, threepid.ThreePID) (any, error)) (any, error) {
	id, err := req.canonical()
	if err != nil {
		return nil, err
	}
	inst, release, err := serving(app)
	if err != nil {
		return nil, err
	}
	defer release()
	return do(inst, id)
}
