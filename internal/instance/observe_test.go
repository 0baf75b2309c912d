// SPDX-License-Identifier: Apache-2.0

package instance

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/caddy-threepid/caddy-threepid/handlers"
	"github.com/caddy-threepid/caddy-threepid/internal/outbox"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
)

// registered is a registry with the collectors.
func registered() prometheus.Gatherer {
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(Collectors()...)
	return registry
}

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

// lines is a log that keeps what it is given.
type lines struct {
	zapcore.LevelEnabler
	entries *[]logged
}

type logged struct {
	zapcore.Entry
	fields map[string]any
}

func (l lines) With([]zapcore.Field) zapcore.Core { return l }
func (l lines) Sync() error                       { return nil }
func (l lines) Check(e zapcore.Entry, c *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if l.Enabled(e.Level) {
		return c.AddCore(e, l)
	}
	return c
}

func (l lines) Write(e zapcore.Entry, fields []zapcore.Field) error {
	enc := zapcore.NewMapObjectEncoder()
	for _, f := range fields {
		f.AddTo(enc)
	}
	*l.entries = append(*l.entries, logged{e, enc.Fields})
	return nil
}

func newLines(level zapcore.Level) (*zap.Logger, *[]logged) {
	entries := new([]logged)
	return zap.New(lines{level, entries}), entries
}

func TestRequestsAreObserved(t *testing.T) {
	registry := registered()
	cause := errors.New("the cause")
	tests := []struct {
		event handlers.Event
		level zapcore.Level
	}{
		{handlers.Event{Face: "client", Endpoint: "request_token", Outcome: "ok", Status: 200}, zapcore.DebugLevel},
		{handlers.Event{Face: "client", Endpoint: "complete", Outcome: "unknown", Status: 502, Err: cause}, zapcore.ErrorLevel},
		{handlers.Event{Face: "identity", Endpoint: "validated", Outcome: "unrecognized", Status: 404}, zapcore.DebugLevel},
	}
	for _, test := range tests {
		logger, entries := newLines(zapcore.DebugLevel)
		e := test.event
		before := counted(t, registry, "caddy_threepid_requests_total", e.Endpoint, e.Face, e.Outcome)
		timed := counted(t, registry, "caddy_threepid_request_duration_seconds", e.Endpoint, e.Face)
		r := httptest.NewRequest(http.MethodPost, "/?token=canary", nil)
		NewObserver(logger, nil).Request(r, e)
		if got, want := counted(t, registry, "caddy_threepid_requests_total", e.Endpoint, e.Face, e.Outcome), before+1; got != want {
			t.Errorf("%s: got count %v, want %v", e.Endpoint, got, want)
		}
		if got, want := counted(t, registry, "caddy_threepid_request_duration_seconds", e.Endpoint, e.Face), timed+1; got != want {
			t.Errorf("%s: got %v durations, want %v", e.Endpoint, got, want)
		}
		if len(*entries) != 1 || (*entries)[0].Level != test.level || (*entries)[0].fields["endpoint"] != e.Endpoint {
			t.Errorf("%s: got log %v, want one line at %s", e.Endpoint, *entries, test.level)
		}
		if e.Err != nil && (*entries)[0].fields["error"] != cause.Error() {
			t.Errorf("%s: got fields %v, want the cause", e.Endpoint, (*entries)[0].fields)
		}
	}
	// At the usual level, an ordinary request is not logged.
	logger, entries := newLines(zapcore.InfoLevel)
	NewObserver(logger, nil).Request(httptest.NewRequest(http.MethodGet, "/", nil), tests[0].event)
	if len(*entries) != 0 {
		t.Errorf("got log %v, want nothing", *entries)
	}
	for in, want := range map[string]string{"GET": "GET", "HEAD": "HEAD", "BREW": "other", "canary@example.test": "other"} {
		if got := method(&http.Request{Method: in}); got != want {
			t.Errorf("got method %q for %q, want %q", got, in, want)
		}
	}
}

func TestChangesAreObserved(t *testing.T) {
	registry := registered()
	cause := errors.New("the cause")
	tests := []struct {
		change  handlers.Change
		outcome string
		level   zapcore.Level
	}{
		{handlers.Change{Action: "bound", User: "u", Medium: "email", Address: "a", IDServer: "id.example.org"}, "ok", zapcore.InfoLevel},
		{handlers.Change{Action: "bound", User: "u", IDServer: "id.example.org", Err: cause}, "failed", zapcore.WarnLevel},
		{handlers.Change{Action: "deleted", User: "u", Medium: "email", Address: "a", Result: "no-support"}, "no-support", zapcore.InfoLevel},
	}
	for _, test := range tests {
		logger, entries := newLines(zapcore.InfoLevel)
		c := test.change
		before := counted(t, registry, "caddy_threepid_changes_total", c.Action, string(c.Medium), test.outcome)
		NewObserver(logger, nil).Changed(nil, c)
		if got, want := counted(t, registry, "caddy_threepid_changes_total", c.Action, string(c.Medium), test.outcome), before+1; got != want {
			t.Errorf("%s: got count %v, want %v", c.Action, got, want)
		}
		if len(*entries) != 1 {
			t.Fatalf("%s: got log %v, want one line", c.Action, *entries)
		}
		line := (*entries)[0]
		if line.Level != test.level || line.LoggerName != "audit" || line.fields["user"] != "u" ||
			line.fields["pseudonym"] != c.Address || line.fields["outcome"] != test.outcome {
			t.Errorf("%s: got %+v", c.Action, line)
		}
		if c.Err != nil && line.fields["error"] != cause.Error() {
			t.Errorf("got fields %v, want the cause", line.fields)
		}
	}
}

func TestDeliveriesAreObserved(t *testing.T) {
	registry := registered()
	tests := []struct {
		event  outbox.Event
		medium string
		level  zapcore.Level
	}{
		{outbox.Event{Outcome: outbox.Sent, Medium: threepid.Email, Duration: time.Second}, "email", zapcore.InfoLevel},
		{outbox.Event{Outcome: outbox.Deferred, Medium: threepid.Email, Duration: time.Second, Err: context.DeadlineExceeded}, "email", zapcore.WarnLevel},
		{outbox.Event{Outcome: outbox.Deferred, Operator: true, Err: context.DeadlineExceeded}, "unknown", zapcore.ErrorLevel},
		{outbox.Event{Outcome: outbox.Failed, Medium: threepid.Email, Duration: time.Second}, "email", zapcore.ErrorLevel},
		{outbox.Event{Outcome: outbox.Expired, Medium: threepid.Email}, "email", zapcore.ErrorLevel},
		{outbox.Event{Outcome: outbox.Dropped}, "unknown", zapcore.ErrorLevel},
	}
	for _, test := range tests {
		logger, entries := newLines(zapcore.DebugLevel)
		e := test.event
		e.Pseudonym = "pseudonym"
		before := counted(t, registry, "caddy_threepid_messages_total", test.medium, e.Outcome)
		timed := counted(t, registry, "caddy_threepid_message_duration_seconds", test.medium)
		NewObserver(logger, nil).Delivery(e)
		if got, want := counted(t, registry, "caddy_threepid_messages_total", test.medium, e.Outcome), before+1; got != want {
			t.Errorf("%s: got count %v, want %v", e.Outcome, got, want)
		}
		if e.Duration > 0 {
			timed++
		}
		if got := counted(t, registry, "caddy_threepid_message_duration_seconds", test.medium); got != timed {
			t.Errorf("%s: got %v durations, want %v", e.Outcome, got, timed)
		}
		if len(*entries) != 1 || (*entries)[0].Level != test.level || (*entries)[0].fields["pseudonym"] != "pseudonym" {
			t.Errorf("%s: got log %v, want one line at %s with the pseudonym", e.Outcome, *entries, test.level)
		}
	}
}
