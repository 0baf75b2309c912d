// SPDX-License-Identifier: Apache-2.0

package caddymodule_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/caddy-threepid/caddy-threepid/caddymodule"
	"github.com/caddy-threepid/caddy-threepid/internal/instance"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/fakehs"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
)

// counted reads the value of a metric, by its name and labels in order.
func counted(t *testing.T, registry prometheus.Gatherer, name string, labels ...string) float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		for _, m := range family.GetMetric() {
			var values []string
			for _, l := range m.GetLabel() {
				values = append(values, l.GetValue())
			}
			if slices.Equal(values, labels) {
				return m.GetCounter().GetValue() + float64(m.GetHistogram().GetSampleCount())
			}
		}
	}
	return 0
}

func TestMetricsSurviveRegistries(t *testing.T) {
	first, second := prometheus.NewPedanticRegistry(), prometheus.NewPedanticRegistry()
	if err := errors.Join(caddymodule.RegisterMetrics(first), caddymodule.RegisterMetrics(first), caddymodule.RegisterMetrics(second)); err != nil {
		t.Fatal(err)
	}
	o := instance.NewObserver(zap.NewNop(), nil)
	const name = "caddy_threepid_sessions_total"
	// Labels are sorted by their names: medium, purpose, transition.
	before := counted(t, first, name, "email", "add", "validated")
	o.Transition(threepid.Add, threepid.Email, "validated")
	for _, registry := range []prometheus.Gatherer{first, second} {
		if got, want := counted(t, registry, name, "email", "add", "validated"), before+1; got != want {
			t.Errorf("got %v, want %v", got, want)
		}
	}
	// A registry that has another collector of the name is a mistake to report.
	other := prometheus.NewPedanticRegistry()
	other.MustRegister(prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: "another"}))
	if err := caddymodule.RegisterMetrics(other); err == nil {
		t.Error("got no error for a name that is taken")
	}
}

// TestMetricsAreMonotonic: counters neither start again with a reload nor
// freeze after one that was rejected.
func TestMetricsAreMonotonic(t *testing.T) {
	_, upstream := homeserver(t, fakehs.Options{})
	s := newSite(t, upstream)
	s.mustLoad(s.simple())
	const name = "caddy_threepid_requests_total"
	start := s.metric(name)
	s.open("one", "alice@example.test")
	s.mustLoad(s.simple())
	s.open("two", "alice@example.test")
	if err := s.load(s.simple() + s.taken()); err == nil {
		t.Fatal("got no error for a port that is taken")
	}
	s.open("three", "alice@example.test")
	if err := s.load(s.withStore(s.path("store"), "next_link gopher://x")); err == nil {
		t.Fatal("got no error for a bad option")
	}
	s.open("four", "alice@example.test")
	if got, want := s.metric(name), start+4; got != want {
		t.Errorf("got %v requests, want %v", got, want)
	}
}

func TestOperatorIsTold(t *testing.T) {
	_, upstream := homeserver(t, fakehs.Options{})
	s := newSite(t, upstream)
	t.Setenv("XDG_DATA_HOME", s.dir)
	s.mustLoad(s.global("threepid") + s.sites())
	for _, want := range []string{
		`"msg":"public_url is not configured; links in mails lead to this machine only","public_url":"https://localhost"`,
		`"msg":"no mailer is configured; mail is written into a folder and not sent","folder":"` + s.path("caddy/threepid/outbox"),
	} {
		if got := strings.Count(s.log("caddy.log"), want); got != 1 {
			t.Errorf("got %d times %s, want it once", got, want)
		}
	}
	s.open("secret", "alice@example.test")
	awaitFiles(t, s.path("caddy/threepid/outbox"), 1)
	if err := caddy.Stop(); err != nil {
		t.Error(err)
	}
}
