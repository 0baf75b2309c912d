// SPDX-License-Identifier: Apache-2.0

package admin

import (
	"context"
	"time"

	"github.com/caddy-threepid/caddy-threepid/caddymodule"
	"github.com/caddy-threepid/caddy-threepid/handlers"
	"github.com/caddy-threepid/caddy-threepid/internal/instance"
)

// LimitsState is who is limited, and what is left of the budgets.
type LimitsState struct {
	// GateClosed says that registrations have to complete the stages before the mail
	// because nothing is left for newcomers.
	GateClosed bool          `json:"gate_closed"`
	Budgets    []ClassBudget `json:"budgets"`
	// Limited are those who were refused within the last hour, on this node, since it
	// was started.
	Limited []LimitedState `json:"limited"`
}

// ClassBudget is what a class may send at this moment.
type ClassBudget struct {
	Medium string `json:"medium"`
	Class  string `json:"class"`
	Left   int    `json:"left"`
	Most   int    `json:"most"`
	// Until is when there is something again, if there is nothing.
	Until *time.Time `json:"until,omitempty"`
}

// LimitedState is a client's network that was refused, and for which address.
type LimitedState struct {
	Limit     string    `json:"limit"`
	Class     string    `json:"class"`
	Network   string    `json:"network,omitempty"`
	Pseudonym string    `json:"pseudonym"`
	Since     time.Time `json:"since"`
	Last      time.Time `json:"last"`
	Until     time.Time `json:"until"`
	Count     int       `json:"count"`
}

// gateClosed reports whether the gate is closed that is open otherwise.
func gateClosed(inst *instance.Instance) bool {
	return inst.Gate() == handlers.GateOffered && inst.Service.Dry()
}

func showLimits(ctx context.Context, app *caddymodule.App) (any, error) {
	inst, release, err := serving(app)
	if err != nil {
		return nil, err
	}
	defer release()
	budgets, err := inst.Service.Budgets(ctx)
	if err != nil {
		return nil, err
	}
	out := LimitsState{GateClosed: gateClosed(inst), Budgets: []ClassBudget{}, Limited: []LimitedState{}}
	for _, b := range budgets {
		of := ClassBudget{Medium: string(b.Medium), Class: b.Class.String(), Left: b.Left, Most: b.Most}
		if !b.Until.IsZero() {
			of.Until = &b.Until
		}
		out.Budgets = append(out.Budgets, of)
	}
	for _, e := range inst.Service.Limited() {
		out.Limited = append(out.Limited, LimitedState{
			string(e.Limit), e.Class.String(), string(e.Network), e.Subject, e.Since, e.Last, e.Until, e.Count,
		})
	}
	return out, nil
}
