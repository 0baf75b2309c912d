// SPDX-License-Identifier: Apache-2.0

package caddymodule_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/stack"
)

// askFrom requests a token as a client whom a proxy names.
func (s *site) askFrom(client string, i int) int {
	s.t.Helper()
	return s.settled(func() (stack.Answer, error) {
		req, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, s.url()+"/_matrix/client/v3/account/3pid/email/requestToken",
			strings.NewReader(fmt.Sprintf(`{"client_secret":"s%d","email":"a%d@example.test","send_attempt":1}`, i, i)))
		if err != nil {
			return stack.Answer{}, err
		}
		req.Header.Set("X-Forwarded-For", client)
		req.Close = true // a reload would cut it anyway
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return stack.Answer{}, err
		}
		return stack.Answer{Status: resp.StatusCode}, resp.Body.Close()
	}).Status
}

// TestF21_ClientsBehindAProxy: the header counts if it comes from a proxy that
// the administrator trusts, and a reload forgets nothing.
func TestF21_ClientsBehindAProxy(t *testing.T) {
	s := newSite(t, "http://127.0.0.1:1")
	config := strings.Replace(s.simple(), "limit client off", "limit client 2 1h", 1)
	trusting := strings.Replace(config, "auto_https disable_redirects", "auto_https disable_redirects\nservers {\ntrusted_proxies static 127.0.0.1/32\n}", 1)
	s.mustLoad(trusting)
	before := s.metric("caddy_threepid_limited_total")
	for i, c := range []struct {
		client string
		want   int
	}{
		{"2001:db8::1", 200}, {"2001:db8::2", 200}, {"2001:db8::3", 429}, {"203.0.113.1", 200}, {"203.0.113.2", 200},
	} {
		if got := s.askFrom(c.client, i); got != c.want {
			t.Errorf("%s: got %d, want %d", c.client, got, c.want)
		}
	}
	if got := s.metric("caddy_threepid_limited_total") - before; got != 1 {
		t.Errorf("got %v refusals counted, want 1", got)
	}
	s.mustLoad(strings.Replace(trusting, "2 1h", "2 61m", 1))
	if got := s.askFrom("2001:db8::4", 10); got != http.StatusTooManyRequests {
		t.Errorf("after a reload: got %d, want 429", got)
	}

	s.mustLoad(config) // nobody is trusted: all of them are one
	for i, want := range []int{200, 200, 429} {
		if got := s.askFrom(fmt.Sprintf("198.51.100.%d", i), 20+i); got != want {
			t.Errorf("request %d without a trusted proxy: got %d, want %d", i, got, want)
		}
	}
}
