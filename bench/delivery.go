// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/smtptest"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/stack"
)

const (
	// outboxMails are delivered to measure the outbox.
	outboxMails = 10_000
	// slowMail is what a slow relay takes for each mail.
	slowMail = 5 * time.Second
	// latencyRounds are made with each relay in turn, so that a disturbance of
	// the machine meets both.
	latencyRounds   = 9
	latencyRequests = 200
	latencyWorkers  = 4
)

// relayed is a Caddy with a relay of its own.
type relayed struct {
	relay *smtptest.Server
	caddy *stack.Caddy
	url   string
}

// startRelayed starts both. The relay takes mail over TLS, in this process, on
// the same cores.
func startRelayed(ctx context.Context, bin, dir, name, upstream string, hook smtptest.Hook) (*relayed, error) {
	relay, err := smtptest.Start(smtptest.Options{Mode: smtptest.STARTTLS, Fail: hook})
	if err != nil {
		return nil, err
	}
	ca := filepath.Join(dir, name+".pem")
	if err := os.WriteFile(ca, relay.CAPEM(), 0o600); err != nil {
		return nil, err
	}
	mailer := "mailer smtp {\n\t\t\tserver " + relay.Addr() + "\n\t\t\tca_file " + ca + "\n\t\t\tfrom bench@example.test\n\t\t\thelo bench.example.test\n\t\t}"
	c, url, err := startCaddy(ctx, bin, dir, name, upstream, true, append(limits("off"), mailer)...)
	if err != nil {
		return nil, err
	}
	return &relayed{relay, c, url}, nil
}

func (r *relayed) stop() {
	r.caddy.Stop()
	_ = r.relay.Close() // nothing is measured any more
}

// request asks for a token for an address of its own.
func (r *relayed) request(round int) func(n int64) (*http.Request, error) {
	return func(n int64) (*http.Request, error) {
		body := fmt.Sprintf(`{"client_secret":"secret.%d","email":"reader.%d.%d@example.test","send_attempt":1}`, n, round, n)
		return http.NewRequest(http.MethodPost, r.url+"/_matrix/client/r0/register/email/requestToken", strings.NewReader(body))
	}
}

// deliveries measures how fast the outbox empties, and whether a slow relay is
// felt by those who ask.
func deliveries(ctx context.Context, bin, dir string, r *report) error {
	addr, stop, err := upstream()
	if err != nil {
		return err
	}
	defer stop()
	fast, err := startRelayed(ctx, bin, dir, "fast", addr, nil)
	if err != nil {
		return err
	}
	defer fast.stop()
	if err := throughput(ctx, fast, r); err != nil {
		return err
	}
	slow, err := startRelayed(ctx, bin, dir, "slow", addr, func(stage, _ string) error {
		if stage == "DATA" {
			time.Sleep(slowMail)
		}
		return nil
	})
	if err != nil {
		return err
	}
	defer slow.stop()
	return independence(ctx, fast, slow, r)
}

// throughput counts the mails that arrive while nothing else is asked for.
func throughput(ctx context.Context, at *relayed, r *report) error {
	if _, err := generate(ctx, newClient(tokenWorkers), tokenWorkers, 0, outboxMails, at.request(0)); err != nil {
		return err
	}
	before, start := len(at.relay.Messages()), time.Now()
	for len(at.relay.Messages()) < outboxMails {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
	took := time.Since(start)
	r.atLeast("mails out of the outbox, pooled TLS, synced store", float64(outboxMails-before)/took.Seconds(), 500, "%.0f/s")
	return nil
}

// independence compares the latency of requestToken beside the two relays.
func independence(ctx context.Context, fast, slow *relayed, r *report) error {
	var medians [2][]float64
	for round := range latencyRounds {
		for _, i := range order(round) {
			at := []*relayed{fast, slow}[i]
			got, err := generate(ctx, newClient(latencyWorkers), latencyWorkers, 0, latencyRequests, at.request(1+round))
			if err != nil {
				return err
			}
			medians[i] = append(medians[i], got.p50.Seconds()*1000)
		}
	}
	f, s := median(medians[0]), median(medians[1])
	r.atMost("requestToken latency beside a relay that takes 5 s per mail, against a fast one", s/f, 1.2, "%.3f")
	r.note("requestToken latency beside the fast relay and the slow one", fmt.Sprintf("p50 %.2f ms and %.2f ms", f, s))
	return nil
}
