// SPDX-License-Identifier: Apache-2.0

package sms

import (
	"io"
	"net/http"
	"testing"
	"time"
)

// What statuses mean where the configuration is silent.
func TestHTTPStatuses(t *testing.T) {
	var (
		fine     = outcome{}
		auth     = outcome{reason: ReasonAuth, fault: true}
		credit   = outcome{reason: ReasonCredit, fault: true}
		nowhere  = outcome{reason: ReasonAnswer, fault: true}
		rejected = outcome{reason: ReasonRejected}
		rate     = outcome{reason: ReasonRate, again: true}
		waiting  = outcome{reason: ReasonRate, again: true, wait: 30 * time.Second}
		broken   = outcome{reason: ReasonGateway, again: true, unsure: true}
	)
	for _, tt := range []struct {
		status int
		after  string
		want   outcome
	}{
		{200, "", fine},
		{201, "", fine},
		{202, "", fine},
		{204, "", fine},
		{299, "", fine},
		{400, "", rejected},
		{422, "", rejected},
		{451, "", rejected},
		{413, "", rejected},
		{401, "", auth},
		{403, "", auth},
		{407, "", auth},
		{402, "", credit},
		{404, "", nowhere},
		{405, "", nowhere},
		{410, "", nowhere},
		{415, "", nowhere},
		{406, "", nowhere},
		{411, "", nowhere},
		{421, "", nowhere},
		{426, "", nowhere},
		{408, "", broken},
		{409, "", broken},
		{425, "", broken},
		{429, "", rate},
		{429, "30", waiting},
		{503, "30", waiting},
		{503, "", broken},
		{500, "", broken},
		{501, "", broken},
		{502, "30", broken},
		{504, "", broken},
	} {
		d := startDouble(t, func(w http.ResponseWriter, _ *http.Request) {
			if tt.after != "" {
				w.Header().Set("Retry-After", tt.after)
			}
			w.WriteHeader(tt.status)
			if tt.status != http.StatusNoContent {
				_, _ = io.WriteString(w, "<html>gossip about "+number)
			}
		})
		h := newHTTP(t, simple(d.URL))
		if tt.want == fine {
			if _, err := h.Send(t.Context(), message()); err != nil {
				t.Errorf("%d: got %v", tt.status, err)
			}
			continue
		}
		tt.want.status = tt.status
		wantOutcome(t, refusedBy(t, h, message()), tt.want)
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	v := &verdicts{now: func() time.Time { return now }}
	for text, want := range map[string]time.Duration{
		"": 0, "0": 0, "7": 7 * time.Second, "-1": 0, "x": 0, "1.5": 0, "99999999999999": 0, "3000000000": 0, "86400": maxWait, "10": 10 * time.Second,
		"Fri, 01 May 2026 12:01:00 GMT": time.Minute, "Fri, 01 May 2026 11:00:00 GMT": 0, "Fri, 01 May 2036 11:00:00 GMT": maxWait,
	} {
		if got := v.wait(&answer{header: http.Header{"Retry-After": {text}}}); got != want {
			t.Errorf("%q: got %s, want %s", text, got, want)
		}
	}
}

// Answers that are judged by rules of the configuration.
func TestHTTPRules(t *testing.T) {
	cfg := HTTPConfig{
		Success: Match{Statuses: []int{200, 400}, Pointer: "/status", Values: []string{"0", "ok", "true"}},
		Refusals: []Refusal{
			{Match: Match{Pointer: "/status", Values: []string{"7"}}, Reason: ReasonRejected},
			{Match: Match{Pointer: "/status", Values: []string{"4"}}, Reason: ReasonAuth},
			{Match: Match{Pointer: "/status", Values: []string{"9"}}, Reason: ReasonCredit},
			{Match: Match{Pointer: "/status", Values: []string{"1"}}, Reason: ReasonRate},
			{Match: Match{Statuses: []int{200}, Pointer: "/status", Values: []string{"5"}}, Reason: ReasonGateway},
			{Match: Match{Prefixes: []string{"DENIED", "BLOCKED"}}, Reason: ReasonRejected},
			{Match: Match{Statuses: []int{403}, Pointer: "/blocked"}, Reason: ReasonRejected},
			{Match: Match{Statuses: []int{418}}, Reason: ReasonRate},
		},
	}
	lies := outcome{reason: ReasonAnswer, status: 200, again: true, unsure: true, fault: true}
	for _, tt := range []struct {
		status int
		body   string
		want   outcome
	}{
		{200, `{"status":"0"}`, outcome{}},
		{200, `{"status":0}`, outcome{}},
		{200, `{"status":true}`, outcome{}},
		{400, `{"status":"ok"}`, outcome{}}, // as it was configured
		{201, `{"status":"ok"}`, outcome{reason: ReasonAnswer, status: 201, again: true, unsure: true, fault: true}},
		{200, `{"status":"8"}`, lies},
		{200, `{"status":null}`, lies},
		{200, `{"status":{"0":0}}`, lies},
		{200, `{}`, lies},
		{200, ``, lies},
		{200, `<html>log in first</html>`, lies},
		{200, `{"status":"0"} and gossip`, lies},
		{200, `{"status":"7"}`, outcome{reason: ReasonRejected, status: 200}},
		{500, `{"status":7}`, outcome{reason: ReasonRejected, status: 500}},
		{200, `{"status":"4"}`, outcome{reason: ReasonAuth, status: 200, fault: true}},
		{200, `{"status":"9"}`, outcome{reason: ReasonCredit, status: 200, fault: true}},
		{200, `{"status":"1"}`, outcome{reason: ReasonRate, status: 200, again: true}},
		{200, `{"status":"5"}`, outcome{reason: ReasonGateway, status: 200, again: true, unsure: true}},
		{422, `{"status":"5"}`, outcome{reason: ReasonRejected, status: 422}},
		{200, `BLOCKED by gossip`, outcome{reason: ReasonRejected, status: 200}},
		{200, `not BLOCKED`, lies},
		{403, `{"blocked":"x"}`, outcome{reason: ReasonRejected, status: 403}},
		{403, `{"blocked":null}`, outcome{reason: ReasonAuth, status: 403, fault: true}},
		{403, `{}`, outcome{reason: ReasonAuth, status: 403, fault: true}},
		{418, ``, outcome{reason: ReasonRate, status: 418, again: true}},
	} {
		d := startDouble(t, says(tt.status, tt.body))
		cfg.URL = d.URL
		h := newHTTP(t, cfg)
		if tt.want == (outcome{}) {
			if _, err := h.Send(t.Context(), message()); err != nil {
				t.Errorf("%d %s: got %v", tt.status, tt.body, err)
			}
			continue
		}
		wantOutcome(t, refusedBy(t, h, message()), tt.want)
	}
}

func TestHTTPSuccessByPrefix(t *testing.T) {
	for body, ok := range map[string]bool{"0: Accepted for delivery": true, "3: Queued": true, "1: x": false, "": false, " 0: x": false} {
		d := startDouble(t, says(http.StatusAccepted, body))
		h := newHTTP(t, HTTPConfig{URL: d.URL, Success: Match{Prefixes: []string{"0:", "3:"}}})
		if _, err := h.Send(t.Context(), message()); (err == nil) != ok {
			t.Errorf("%q: got %v, want ok %t", body, err, ok)
		}
	}
}
