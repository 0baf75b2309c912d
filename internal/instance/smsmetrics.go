// SPDX-License-Identifier: Apache-2.0

package instance

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/caddy-threepid/caddy-threepid/internal/smsfraud"
)

// Countries are the only part of a number that is a label: there are some 250.
var (
	smsSegmentsTotal = prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "caddy", Subsystem: "threepid", Name: "sms_segments_total",
		Help: "Segments of messages to phones that were counted against budgets.",
	}, []string{"country"})

	smsCostTotal = prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "caddy", Subsystem: "threepid", Name: "sms_cost_total",
		Help: "What these segments cost by the configured prices, in the operator's currency.",
	}, []string{"country"})

	smsRefusedTotal = prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "caddy", Subsystem: "threepid", Name: "sms_refused_total",
		Help: "Messages to phones that were not sent, by the reason.",
	}, []string{"country", "reason"})

	smsPausesTotal = prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "caddy", Subsystem: "threepid", Name: "sms_pauses_total",
		Help: "Prefixes that were paused because their codes do not come back, and resumed.",
	}, []string{"country", "event"})

	smsNetworkPausesTotal = prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "caddy", Subsystem: "threepid", Name: "sms_network_pauses_total",
		Help: "Networks of clients that were paused because the codes that they ask for do not come back, and resumed.",
	}, []string{"event"})
)

// phoneCollectors are registered with the others.
var phoneCollectors = []prometheus.Collector{smsSegmentsTotal, smsCostTotal, smsRefusedTotal, smsPausesTotal, smsNetworkPausesTotal, budgetGauges{}}

// fraudObserver turns what the shield does into metrics and log lines.
type fraudObserver struct{ logger *zap.Logger }

// moneyUnit is one of the operator's currency.
const moneyUnit = 1_000_000

func (o *fraudObserver) Spent(region string, segments int, m smsfraud.Money) {
	smsSegmentsTotal.WithLabelValues(region).Add(float64(segments))
	smsCostTotal.WithLabelValues(region).Add(float64(m) / moneyUnit)
}

func (o *fraudObserver) Refused(region string, why smsfraud.Why) {
	smsRefusedTotal.WithLabelValues(region, string(why)).Inc()
	o.logger.Info("refused to send a message to a phone", zap.String("country", region), zap.String("reason", string(why)))
}

func (o *fraudObserver) Paused(region string) {
	smsPausesTotal.WithLabelValues(region, "paused").Inc()
	o.logger.Error("messages to a prefix are paused: its codes do not come back; see `caddy threepid sms`", zap.String("country", region))
}

func (o *fraudObserver) Resumed(region string) {
	smsPausesTotal.WithLabelValues(region, "resumed").Inc()
	o.logger.Info("messages to a prefix are sent again", zap.String("country", region))
}

func (o *fraudObserver) NetworkPaused() {
	smsNetworkPausesTotal.WithLabelValues("paused").Inc()
	o.logger.Warn("messages that are asked for from a network are paused: their codes do not come back; see `caddy threepid sms`")
}

func (o *fraudObserver) NetworkResumed() {
	smsNetworkPausesTotal.WithLabelValues("resumed").Inc()
	o.logger.Info("messages that are asked for from a network are sent again")
}

// spenders are the configurations that may pay for messages to phones, in the order in
// which they began. The first is in force: what was started to take its place may still
// be refused.
var spenders struct {
	sync.Mutex
	list []*Instance
}

func (i *Instance) spends() {
	spenders.Lock()
	defer spenders.Unlock()
	spenders.list = append(spenders.list, i)
}

func (i *Instance) spendsNoMore() {
	spenders.Lock()
	defer spenders.Unlock()
	spenders.list = slices.DeleteFunc(spenders.list, func(other *Instance) bool { return other == i })
}

// spender is the one in force, or nil.
func spender() *Instance {
	spenders.Lock()
	defer spenders.Unlock()
	if len(spenders.list) == 0 {
		return nil
	}
	return spenders.list[0]
}

// budgetGauges tell how far budgets are used up, when they are asked.
type budgetGauges struct{}

var (
	budgetLabels = []string{"of", "unit", "per"}
	budgetUsed   = prometheus.NewDesc("caddy_threepid_sms_budget_used",
		"How much of a budget for messages to phones is used up, in messages or in the operator's currency.", budgetLabels, nil)
	budgetLimit = prometheus.NewDesc("caddy_threepid_sms_budget_limit",
		"The limit of a budget for messages to phones.", budgetLabels, nil)
	pausedPrefixes = prometheus.NewDesc("caddy_threepid_sms_paused_prefixes",
		"Prefixes that no messages are sent to.", nil, nil)
	pausedNetworks = prometheus.NewDesc("caddy_threepid_sms_paused_networks",
		"Networks of clients that no messages are sent for.", nil, nil)
)

func (budgetGauges) Describe(ch chan<- *prometheus.Desc) {
	ch <- budgetUsed
	ch <- budgetLimit
	ch <- pausedPrefixes
	ch <- pausedNetworks
}

// scrapeTime bounds the look into the store.
const scrapeTime = 2 * time.Second

// Collect implements prometheus.Collector. Budgets of prefixes are left out:
// there may be many, and the admin endpoint has them.
func (budgetGauges) Collect(ch chan<- prometheus.Metric) {
	i := spender()
	if i == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTime)
	defer cancel()
	defer i.Store.Hold()()
	status, err := i.phones.shield.Status(ctx)
	if err != nil {
		return // the store is gone, with the configuration perhaps
	}
	for _, b := range status.Budgets {
		if b.Scope == scopePrefix {
			continue
		}
		labels, scale := []string{b.Of, UnitWord(b.Unit), WindowWord(b.Per)}, 1.0
		if b.Unit == smsfraud.Amount {
			scale = moneyUnit
		}
		ch <- prometheus.MustNewConstMetric(budgetUsed, prometheus.GaugeValue, float64(b.Used)/scale, labels...)
		ch <- prometheus.MustNewConstMetric(budgetLimit, prometheus.GaugeValue, float64(b.Limit)/scale, labels...)
	}
	var networks float64
	for _, p := range status.Paused {
		if p.Network {
			networks++
		}
	}
	ch <- prometheus.MustNewConstMetric(pausedPrefixes, prometheus.GaugeValue, float64(len(status.Paused))-networks)
	ch <- prometheus.MustNewConstMetric(pausedNetworks, prometheus.GaugeValue, networks)
}

// scopePrefix is the scope of budgets of all prefixes.
const scopePrefix = "prefix"

// UnitWord is what options and metrics call a unit.
func UnitWord(u smsfraud.Unit) string {
	if u == smsfraud.Amount {
		return "money"
	}
	return "messages"
}

// WindowWord is what they call the time that a budget is for.
func WindowWord(per smsfraud.Window) string {
	if per == smsfraud.Day {
		return "day"
	}
	return "hour"
}
