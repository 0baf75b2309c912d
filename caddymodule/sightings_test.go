// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"fmt"
	"net/http/httptest"
	"net/netip"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-threepid/caddy-threepid/internal/doctor"
)

// TestSightingsAreSaidOnceInAWhile: ten minutes for each kind by itself, and all
// of them count.
func TestSightingsAreSaidOnceInAWhile(t *testing.T) {
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	var s sightings
	note := func(code string, after time.Duration) bool {
		return s.note(doctor.WiringProblem{Code: code, Problem: "It is %s.", Values: []any{"so"}}, start.Add(after), 10*time.Minute)
	}
	for _, tt := range []struct {
		code  string
		after time.Duration
		want  bool
	}{
		{"a", 0, true},
		{"a", time.Second, false},
		{"b", 2 * time.Second, true},
		{"a", 10*time.Minute - 1, false},
		{"a", 10 * time.Minute, true},
		{"b", 10 * time.Minute, false},
		{"a", 19 * time.Minute, false},
	} {
		if got := note(tt.code, tt.after); got != tt.want {
			t.Errorf("%s after %s: got %v, want %v", tt.code, tt.after, got, tt.want)
		}
	}
	got := s.problems(start.Add(20 * time.Minute))
	if len(got) != 2 || fmt.Sprintf(got[0].Problem, got[0].Values...) != "It is so. Seen 5 times, the last time at 2026-03-01 12:19:00." {
		t.Errorf("got %+v", got)
	}
	if got := s.problems(start.Add(10*time.Minute + seenFor + 1)); len(got) != 1 || got[0].Code != "a" {
		t.Errorf("a day later: got %+v, want only what was seen since", got)
	}
	s.gone("a", "c")
	if got := s.problems(start); len(got) != 1 || got[0].Code != "b" {
		t.Errorf("got %+v, want what has not gone", got)
	}
	if !note("a", 11*time.Minute) {
		t.Error("what has come back is not said")
	}
}

// TestProxies: who is taken for a proxy. Anybody can write the header, so one of
// the public internet has to do so for several clients.
func TestProxies(t *testing.T) {
	type request struct{ peer, header string }
	many := func(peer string, clients ...string) (list []request) {
		for _, c := range clients {
			list = append(list, request{peer, c})
		}
		return list
	}
	tests := []struct {
		name     string
		requests []request
		trusted  bool
		want     bool // after the last one, and not before
	}{
		{"nobody forwards", many("203.0.113.9:1", "", "", ""), false, false},
		{"a container's network", many("172.17.0.1:1", "203.0.113.9"), false, true},
		{"this machine", many("[::1]:1", "2001:db8::9"), false, true},
		{"a list of proxies", many("10.0.0.1:1", "10.1.1.1, 203.0.113.9"), false, true},
		{"a socket", many("@", "203.0.113.9"), false, true},
		{"a trusted one", many("10.0.0.1:1", "203.0.113.9"), true, false},
		{"a client that lies", many("203.0.113.9:1", "198.51.100.1", "198.51.100.1", "198.51.100.1", "198.51.100.1"), false, false},
		{"a client that tells of itself", many("203.0.113.9:1", "203.0.113.9", "203.0.113.9", "203.0.113.9"), false, false},
		{"a delivery network", many("203.0.113.9:1", "198.51.100.1", "198.51.100.2", "198.51.100.3"), false, true},
		{"two clients are not enough", many("203.0.113.9:1", "198.51.100.1", "198.51.100.2", "198.51.100.1"), false, false},
		{"inside, for somebody inside", many("10.0.0.1:1", "10.0.0.2", "10.0.0.2"), false, false},
		{"inside, for several inside", many("10.0.0.1:1", "10.0.0.2", "10.0.0.3", "10.0.0.4"), false, true},
		{"what is no address", many("10.0.0.1:1", "unknown", "_hidden", "203.0.113.9:4711, x"), false, false},
	}
	for _, tt := range tests {
		var p proxies
		for i, req := range tt.requests {
			r := httptest.NewRequest("GET", "/", nil)
			r = r.WithContext(context.WithValue(r.Context(), caddyhttp.VarsCtxKey, map[string]any{caddyhttp.TrustedProxyVarKey: tt.trusted}))
			r.RemoteAddr = req.peer
			if req.header != "" {
				r.Header.Set("X-Forwarded-For", req.header)
			}
			if got, want := p.found(r), tt.want && i == len(tt.requests)-1; got != want {
				t.Errorf("%s, request %d: got %v, want %v", tt.name, i, got, want)
			}
		}
	}
	var p proxies
	for i := range 10 * proxyPeers { // as many as want to
		p.speaksFor(netip.AddrFrom4([4]byte{203, 0, byte(i >> 8), byte(i)}), netip.AddrFrom4([4]byte{198, 51, 100, 1}))
	}
	if got := len(p.peers); got > proxyPeers {
		t.Errorf("got %d peers remembered, want %d at most", got, proxyPeers)
	}
}
