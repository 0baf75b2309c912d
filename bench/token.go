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

	"github.com/caddy-threepid/caddy-threepid/internal/lab/stack"
	"github.com/caddy-threepid/caddy-threepid/store/badgerstore"
)

const (
	tokenWorkers = 64
	tokenRounds  = 5
)

// requestTokens opens sessions in checks off, each with an address of its own,
// in the durable store. Their mails go into files, by the same cores.
func requestTokens(ctx context.Context, bin, dir string, sessions int, r *report) error {
	addr, stop, err := upstream()
	if err != nil {
		return err
	}
	defer stop()
	caddy, url, err := startCaddy(ctx, bin, dir, "tokens", addr, true, limits("off")...)
	if err != nil {
		return err
	}
	defer caddy.Stop()
	var rates, p50, p99 []float64
	for round := range tokenRounds {
		got, err := generate(ctx, newClient(tokenWorkers), tokenWorkers, 0, int64(sessions/tokenRounds), func(n int64) (*http.Request, error) {
			body := fmt.Sprintf(`{"client_secret":"secret.%d","email":"reader.%d.%d@example.test","send_attempt":1}`, n, round, n)
			return http.NewRequest(http.MethodPost, url+"/_matrix/client/r0/register/email/requestToken", strings.NewReader(body))
		})
		if err != nil {
			return err
		}
		rates, p50, p99 = append(rates, got.perSecond), append(p50, got.p50.Seconds()*1000), append(p99, got.p99.Seconds()*1000)
	}
	r.atLeast(fmt.Sprintf("requestToken, checks off, durable, %d workers", tokenWorkers), median(rates), 3000, "%.0f/s")
	r.note("requestToken latency", fmt.Sprintf("p50 %.1f ms, p99 %.1f ms", median(p50), median(p99)))
	if err := awaitMail(ctx, filepath.Join(caddy.DataDir(), "threepid", "outbox"), sessions); err != nil {
		return err
	}
	mem, err := stack.ResidentMiB(caddy.PID())
	if err != nil {
		return err
	}
	r.note(fmt.Sprintf("memory after %d open sessions, all mails written", sessions), fmt.Sprintf("%.1f MiB", mem))
	caddy.Stop()
	return diskPerSession(ctx, filepath.Join(caddy.DataDir(), "threepid", "store"), sessions, r)
}

// awaitMail waits until every session has had its mail: a message that waits
// is not an open session.
func awaitMail(ctx context.Context, dir string, n int) error {
	for {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return fmt.Errorf("read mails: %w", err)
		}
		if len(entries) >= n {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Second):
		}
	}
}

// diskPerSession compacts the store and divides.
func diskPerSession(ctx context.Context, dir string, sessions int, r *report) error {
	s, err := badgerstore.Open(badgerstore.Options{Dir: dir})
	if err != nil {
		return err
	}
	if err := s.Compact(ctx); err != nil {
		return err
	}
	if err := s.Close(); err != nil {
		return err
	}
	size, err := stack.Allocated(dir)
	if err != nil {
		return err
	}
	r.atMost("disk per open session, after compaction", float64(size)/float64(sessions), 600, "%.0f bytes")
	return nil
}
