// SPDX-License-Identifier: Apache-2.0

package outbox

import (
	"context"
	"errors"
	"io"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/smtptest"
)

// mood is one way in which a relay treats its clients.
type mood uint8

const (
	working mood = iota
	greylisting
	dyingInData
	afterData
	resetting
	tarpitting
	refusingAll
)

// answer is what a relay in a mood does at a stage, and whether that was
// anything out of the ordinary.
func (m mood) answer(stage string) (struck bool, err error) {
	switch {
	case m == greylisting && stage == "RCPT":
		return true, smtptest.Reply(451, "greylisted, come back later")
	case m == dyingInData && stage == "MIDDATA":
		return true, smtptest.ErrDrop
	case m == afterData && stage == "DATA":
		return true, smtptest.ErrDrop
	case m == resetting && (stage == "CONNECT" || stage == "MAIL"):
		return true, smtptest.ErrDrop
	case m == tarpitting && stage == "MAIL":
		time.Sleep(150 * time.Millisecond) // what a tarpit does
		return true, nil
	case m == refusingAll && stage == "CONNECT":
		return true, smtptest.Reply(421, "too busy")
	}
	return false, nil
}

// flapping changes its mood all the time, until it has recovered.
type flapping struct {
	moods []mood
	lasts time.Duration
	began time.Time
	// recovered reports that it is well for good.
	recovered func() bool
}

func (f *flapping) fail(stage string) error {
	if f.recovered() {
		return nil
	}
	_, err := f.moods[int(time.Since(f.began)/f.lasts)%len(f.moods)].answer(stage)
	return err
}

func start(t *testing.T, fail func(stage, address string) error) *smtptest.Server {
	t.Helper()
	s, err := smtptest.Start(smtptest.Options{Mode: smtptest.STARTTLS, Fail: fail})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// TestOneRelayInTroubleComesBack: with no other relay to go to, what could not
// be sent while the relay was in trouble is sent when it is well again, once.
func TestOneRelayInTroubleComesBack(t *testing.T) {
	t.Parallel()
	const people, strikes = 40, 12
	for name, trouble := range map[string]mood{
		"greylists": greylisting, "dies mid-DATA": dyingInData, "dies after DATA": afterData, "resets": resetting,
		"tarpits": tarpitting, "is too busy": refusingAll,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var troubled atomic.Int64
			server := start(t, func(stage, _ string) error {
				if troubled.Load() >= strikes {
					return nil
				}
				struck, err := trouble.answer(stage)
				if struck {
					troubled.Add(1)
				}
				return err
			})
			m, err := assemble(order{Dir: t.TempDir(), Relays: []string{server.Addr()}, CA: server.CAPEM()})
			if err != nil {
				t.Fatal(err)
			}
			defer m.close()
			m.outbox.Start()
			var users []int
			for user := range people {
				users = append(users, user)
			}
			if err := m.requestAll(users, io.Discard); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
			defer cancel()
			mails, err := server.Wait(ctx, people)
			if err := errors.Join(err, m.outbox.Stop(ctx)); err != nil {
				t.Fatal(err)
			}
			to := map[string]int{}
			for _, mail := range server.Messages() {
				to[mail.To]++
			}
			for user := range people {
				if n := to[userAddress(user)]; n != 1 {
					t.Errorf("user %d got %d mails, want 1", user, n)
				}
			}
			if troubled.Load() < strikes {
				t.Errorf("the relay was in trouble %d times, want %d", troubled.Load(), strikes)
			}
			t.Logf("%d mails, %d times in trouble", len(mails), troubled.Load())
		})
	}
}
