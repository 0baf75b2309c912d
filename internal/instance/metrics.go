// SPDX-License-Identifier: Apache-2.0

package instance

import (
	"github.com/prometheus/client_golang/prometheus"
)

// The collectors belong to the process, not to a configuration: every
// configuration has a registry of its own, and counters that were made anew
// for each would start at zero with every reload. All labels have few values,
// none of which comes out of a request.
var (
	requestsTotal = prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "caddy", Subsystem: "threepid", Name: "requests_total",
		Help: "Requests that were answered or rewritten, by their outcome.",
	}, []string{"face", "endpoint", "outcome"})

	requestSeconds = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Namespace: "caddy", Subsystem: "threepid", Name: "request_duration_seconds",
		Help:    "How long requests took, the homeserver's part included.",
		Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 90},
	}, []string{"face", "endpoint"})

	messagesTotal = prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "caddy", Subsystem: "threepid", Name: "messages_total",
		Help: "Tries to deliver a message, by their outcome.",
	}, []string{"medium", "outcome"})

	messageSeconds = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Namespace: "caddy", Subsystem: "threepid", Name: "message_duration_seconds",
		Help:    "How long tries to deliver a message took.",
		Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60},
	}, []string{"medium"})

	sessionsTotal = prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "caddy", Subsystem: "threepid", Name: "sessions_total",
		Help: "Validation sessions that changed their state, by the new one.",
	}, []string{"purpose", "medium", "transition"})

	changesTotal = prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "caddy", Subsystem: "threepid", Name: "changes_total",
		Help: "Changes of users' addresses and of their bindings, by their outcome.",
	}, []string{"action", "medium", "outcome"})

	failuresTotal = prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "caddy", Subsystem: "threepid", Name: "delivery_failures_total",
		Help: "Tries to deliver a message that failed, by the reason.",
	}, []string{"medium", "reason"})

	feedbackTotal = prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "caddy", Subsystem: "threepid", Name: "feedback_total",
		Help: "Reports of bounces and complaints, and what was turned away in their place.",
	}, []string{"provider", "kind", "outcome"})

	limitedTotal = prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "caddy", Subsystem: "threepid", Name: "limited_total",
		Help: "Requests that a limit has refused, by the limit.",
	}, []string{"limit"})

	askedTotal = prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "caddy", Subsystem: "threepid", Name: "asked_total",
		Help: "Messages that were asked for, by their class and the limit that has refused them, or none.",
	}, []string{"class", "medium", "limit"})

	newcomersDry = prometheus.NewGauge(prometheus.GaugeOpts{
		Namespace: "caddy", Subsystem: "threepid", Name: "newcomers_dry",
		Help: "Whether no messages are left for newcomers: 1 or 0.",
	})

	policyTotal = prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "caddy", Subsystem: "threepid", Name: "policy_total",
		Help: "Decisions about email addresses, by the rule that made them.",
	}, []string{"rule", "action"})
)

// Collectors are all of them.
func Collectors() []prometheus.Collector {
	return append([]prometheus.Collector{
		requestsTotal, requestSeconds, messagesTotal, messageSeconds, sessionsTotal, changesTotal, feedbackTotal, failuresTotal,
		policyTotal, limitedTotal, askedTotal, newcomersDry,
	}, phoneCollectors...)
}
