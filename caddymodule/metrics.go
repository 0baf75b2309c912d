// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// The collectors belong to the package, not to a configuration: every
// configuration has a registry of its own, and counters that started again at
// each reload would be of no use. Their labels are closed sets.
var (
	requestsTotal = prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "caddy", Subsystem: "threepid", Name: "requests_total",
		Help: "Requests that were answered or rewritten, by side, endpoint and outcome.",
	}, []string{"face", "endpoint", "outcome"})

	requestSeconds = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Namespace: "caddy", Subsystem: "threepid", Name: "request_duration_seconds",
		Help:    "Time to answer a request, the homeserver's part included.",
		Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 90},
	}, []string{"face", "endpoint"})

	messagesTotal = prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "caddy", Subsystem: "threepid", Name: "messages_total",
		Help: "Tries to deliver a message, by outcome.",
	}, []string{"medium", "outcome"})

	messageSeconds = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Namespace: "caddy", Subsystem: "threepid", Name: "message_duration_seconds",
		Help:    "Time of one try to deliver a message.",
		Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
	}, []string{"medium"})

	sessionsTotal = prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "caddy", Subsystem: "threepid", Name: "sessions_total",
		Help: "Validation sessions by the state that they changed to.",
	}, []string{"purpose", "medium", "transition"})
)

// registerMetrics registers the collectors with a configuration's registry. It
// may have them already, from another use of it; they are the same ones.
func registerMetrics(registry prometheus.Registerer) error {
	for _, c := range []prometheus.Collector{requestsTotal, requestSeconds, messagesTotal, messageSeconds, sessionsTotal} {
		var already prometheus.AlreadyRegisteredError
		if err := registry.Register(c); err != nil && !errors.As(err, &already) {
			return err
		}
	}
	return nil
}
