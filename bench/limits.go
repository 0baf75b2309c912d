// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/stack"
)

const (
	limitRounds   = 3 // see passRounds
	limitPairs    = 3
	limitRequests = 3000
)

// limits are all that requestToken knows, each of them the same.
func limits(value string) []string {
	names := []string{"address", "client", "domain", "user", "uia", "messages"}
	options := make([]string, 0, len(names)+1)
	for _, name := range names {
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
// off: as registrations come that count against four of them, each from a
// network of its own and about an address of its own at one of a few providers,
// and as ones that have an access token, too, and name their session.
func limitChecks(ctx context.Context, bin, dir string, r *report) error {
	addr, stop, err := upstream()
	if err != nil {
		return err
	}
	defer stop()
	var four, six ratios
	for round := range limitRounds {
		if err := limitRound(ctx, bin, dir, addr, round, &four, &six); err != nil {
			return err
		}
	}
	r.note("requestToken without limits, and with four", fmt.Sprintf("%.0f/s and %.0f/s", median(four.off), median(four.on)))
	r.atLeast("requestToken, ratio of requests/s with four limits, median of pairs", median(four.rates), 0.9, "%.3f")
	r.note("requestToken, ratio of processor time with four limits, mails included", fmt.Sprintf("%.3f", median(four.ticks)))
	r.note("requestToken, the same ratios with six limits", fmt.Sprintf("%.3f and %.3f", median(six.rates), median(six.ticks)))
	return nil
}

// ratios are what pairs have shown.
type ratios struct{ off, on, rates, ticks []float64 }

// limitRound starts both servers, and measures pairs.
func limitRound(ctx context.Context, bin, dir, addr string, round int, four, six *ratios) error {
	var sides [2]*limited
	for i, value := range []string{"off", "1000000 24h"} {
		options := append(limits(value), "next_link https://app.example.test")
		c, url, err := startCaddy(ctx, bin, dir, fmt.Sprint("limits", round, i), addr, true, options...)
		if err != nil {
			return err
		}
		defer c.Stop()
		sides[i] = &limited{caddy: c, url: url}
	}
	var requests atomic.Int64
	if err := compareLimits(ctx, sides, &requests, false, four); err != nil {
		return err
	}
	return compareLimits(ctx, sides, &requests, true, six)
}

// compareLimits measures pairs.
func compareLimits(ctx context.Context, sides [2]*limited, requests *atomic.Int64, all bool, to *ratios) error {
	for _, side := range sides {
		side.rates, side.ticks = nil, nil
	}
	for pair := range limitPairs + 1 { // the first warms up
		for _, which := range order(pair) {
			if err := sides[which].measure(ctx, requests, all, pair > 0); err != nil {
				return err
			}
		}
	}
	off, on := sides[0], sides[1]
	to.off, to.on = append(to.off, off.rates...), append(to.on, on.rates...)
	for i := range off.rates {
		to.rates, to.ticks = append(to.rates, on.rates[i]/off.rates[i]), append(to.ticks, on.ticks[i]/off.ticks[i])
	}
	return nil
}

// measure makes one round, and waits for its mails, which would disturb the
// other side's.
func (l *limited) measure(ctx context.Context, requests *atomic.Int64, all, counts bool) error {
	before, err := cpuTicks(l.caddy.PID())
	if err != nil {
		return err
	}
	got, err := generate(ctx, newClient(tokenWorkers), tokenWorkers, 0, limitRequests, func(int64) (*http.Request, error) {
		n := requests.Add(1)
		link := "https://app.example.test/#/register"
		if all {
			link += fmt.Sprintf("?session_id=%d", n)
		}
		body := fmt.Sprintf(`{"client_secret":"secret.%d","email":"reader%d@host%d.test","send_attempt":1,"next_link":"%s"}`, n, n, n%20, link)
		req, err := http.NewRequest(http.MethodPost, l.url+"/_matrix/client/r0/register/email/requestToken", strings.NewReader(body))
		if err != nil {
			return nil, err
		}
		req.Header.Set("X-Forwarded-For", fmt.Sprintf("10.%d.%d.%d", n>>16&255, n>>8&255, n&255))
		if all {
			req.Header.Set("Authorization", fmt.Sprintf("Bearer token%d", n))
		}
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
