// SPDX-License-Identifier: Apache-2.0

package instance

import (
	"testing"

	"go.uber.org/zap"

	"github.com/caddy-threepid/caddy-threepid/internal/smsfraud"
)

// budgetMeasured is the limit that is in the metrics, or zero.
func budgetMeasured(t *testing.T) float64 {
	t.Helper()
	families, err := registered().Gather()
	must(t, err)
	for _, family := range families {
		if family.GetName() == "caddy_threepid_sms_budget_limit" {
			return family.GetMetric()[0].GetGauge().GetValue()
		}
	}
	return 0
}

// TestBudgetsInForceAreMeasured, while a configuration comes and is refused, and when one
// has taken the place of another.
func TestBudgetsInForceAreMeasured(t *testing.T) {
	b := newBrittle(t)
	t.Cleanup(func() { must(t, b.Store.Destruct()) })
	limited := func(n int64) *Instance {
		shield, err := smsfraud.New(smsfraud.Config{
			Store: b.disk, Keys: b.Keys, Allow: []string{"GB"}, Budgets: []smsfraud.Budget{{Scope: "total", Limit: n, Unit: smsfraud.Messages, Per: smsfraud.Day}},
		})
		must(t, err)
		return &Instance{Store: b.Store, Keys: b.Keys, logger: zap.NewNop(), phones: &phones{shield: shield}}
	}
	first, refused, second := limited(1), limited(2), limited(3)
	for i, step := range []struct {
		do   func()
		want float64
	}{
		{func() { must(t, first.Start()) }, 1},
		{func() { must(t, refused.Start()) }, 1},
		{refused.Stop, 1},
		{refused.Stop, 1},
		{func() { must(t, second.Start()) }, 1},
		{first.Stop, 3},
		{second.Stop, 0},
	} {
		if step.do(); budgetMeasured(t) != step.want {
			t.Errorf("step %d: the metrics have the budget of configuration %v, want %v", i, budgetMeasured(t), step.want)
		}
	}
}
