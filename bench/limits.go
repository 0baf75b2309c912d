// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"

	"github.com/caddy-threepid/caddy-threepid/internal/stack"
)

const (
	limitPairs    = 9
	limitRequests = 3000
)

// limits are all that requestToken knows, each of them the same.
func limits(value string) []string {
	var options []string
	for _, name := range []string{"address", "client", "domain", "user", "uia", "messages"} {
		options = append(options, "limit "+name+" "+value)
	}
	return options
}

// limited is a Caddy with limits of one kind.
type limited struct {
	caddy *stack.Caddy
	url   string
	mails int // that it has sent
	rates []float64
	ticks []float64
}

// limitChecks compares requestToken with all limits on and with all of them
// off. Every request comes from a network of its own, is about an address at a
// domain of its own, has an access token and names a registration: it counts
// against six limits, and five of their entries are new.
func limitChecks(ctx context.Context, bin, dir string, r *report) error {
	addr, stop, err := upstream()
	if err != nil {
		return err
	}
	defer stop()
	var sides [2]*limited
	for i, value := range []string{"off", "1000000 24h"} {
		options := append(limits(value), "next_link https://app.example.test")
		c, url, err := startCaddy(ctx, bin, dir, fmt.Sprint("limits", i), addr, true, options...)
		if err != nil {
			return err
		}
		defer c.Stop()
		sides[i] = &limited{caddy: c, url: url}
	}
	var requests atomic.Int64
	for pair := range limitPairs + 1 {
		for i := range sides {
			side := sides[(i+pair)%2] // whoever is first has it easier, or harder
			if err := side.measure(ctx, &requests, pair > 0); err != nil {
				return err
			}
		}
	}
	off, on := sides[0], sides[1]
	var rates, ticks []float64
	for i := range off.rates {
		rates, ticks = append(rates, on.rates[i]/off.rates[i]), append(ticks, on.ticks[i]/off.ticks[i])
	}
	r.note("requestToken without limits, and with six", fmt.Sprintf("%.0f/s and %.0f/s", median(off.rates), median(on.rates)))
	r.atLeast("requestToken, ratio of requests/s with limits, median of pairs", median(rates), 0.9, "%.3f")
	r.note("requestToken, ratio of processor time, mails included, with limits", fmt.Sprintf("%.3f", median(ticks)))
	return nil
}

// measure makes one round, and waits for its mails, which would disturb the
// other side's. The first warms up.
func (l *limited) measure(ctx context.Context, requests *atomic.Int64, counts bool) error {
	before, err := cpuTicks(l.caddy.PID())
	if err != nil {
		return err
	}
	got, err := generate(ctx, newClient(tokenWorkers), tokenWorkers, 0, limitRequests, func(int64) (*http.Request, error) {
		n := requests.Add(1)
		body := fmt.Sprintf(`{"client_secret":"secret.%d","email":"reader@host%d.test","send_attempt":1,"next_link":"https://app.example.test/#/register?session_id=%d"}`, n, n, n)
		req, err := http.NewRequest(http.MethodPost, l.url+"/_matrix/client/r0/register/email/requestToken", strings.NewReader(body))
		if err != nil {
			return nil, err
		}
		req.Header.Set("X-Forwarded-For", fmt.Sprintf("10.%d.%d.%d", n>>16&255, n>>8&255, n&255))
		req.Header.Set("Authorization", fmt.Sprintf("Bearer token%d", n))
		return req, nil
	})
	if err != nil {
		return err
	}
	l.mails += got.requests
	if err := awaitMail(ctx, filepath.Join(l.caddy.DataDir(), "threepid", "outbox"), l.mails); err != nil {
		return err
	}
	after, err := cpuTicks(l.caddy.PID())
	if err != nil || !counts {
		return err
	}
	l.rates, l.ticks = append(l.rates, got.perSecond), append(l.ticks, after-before)
	return nil
}
