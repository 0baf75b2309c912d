// SPDX-License-Identifier: Apache-2.0

package smsfraud

import (
	"context"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/store"
)

// TestEndOfAPauseIsToldOnce: whatever the request is told that has noticed it.
func TestEndOfAPauseIsToldOnce(t *testing.T) {
	f := newFixture(t, breaking, func(c *Config) { c.PerNumber = 1 })
	f.flood(12)
	f.refused(to(gb(100), "GB"), WhyPrefixPaused, 2*time.Hour)
	f.clock.Advance(2 * time.Hour)
	for range 3 {
		f.refused(to(gb(1), "GB"), WhyNumber, 22*time.Hour)
	}
	f.watcher.want(t, "resumed GB", 1)
	f.reserve(to(gb(100), "GB"))
	f.watcher.want(t, "resumed GB", 1)
}

// TestPauseAfterTheClockWasSetBack lasts as long as it would have lasted.
func TestPauseAfterTheClockWasSetBack(t *testing.T) {
	f := newFixture(t, breaking)
	f.flood(12)
	f.refused(to(gb(100), "GB"), WhyPrefixPaused, 2*time.Hour)
	f.clock.Advance(-10 * day)
	back := f.clock.Now()
	if got := f.status().Paused; len(got) != 1 || !got[0].Since.Equal(back) || !got[0].Until.Equal(back.Add(2*time.Hour)) {
		t.Errorf("the status shows %+v", got)
	}
	f.refuses(to(gb(100), "GB"), WhyPrefixPaused, 2*time.Hour)
	f.reserve(to(gb(100), "GB"))
	f.watcher.want(t, "paused GB", 1)
	f.watcher.want(t, "resumed GB", 1)
}

// searched is a store in which something happens after a search.
type searched struct {
	store.Store
	after func()
}

func (s *searched) Scan(ctx context.Context, p store.Partition, prefix string, fn func(string, []byte) (bool, error)) error {
	err := s.Store.Scan(ctx, p, prefix, fn)
	s.after()
	return err
}

// TestResumeOfAPauseThatEndsMeanwhile lifts what there is still to be lifted.
func TestResumeOfAPauseThatEndsMeanwhile(t *testing.T) {
	for name, tt := range map[string]struct {
		meanwhile func(f *fixture)
		want      bool
	}{
		"nothing":                {func(*fixture) {}, true},
		"both end":               {func(f *fixture) { f.clock.Advance(2 * time.Hour) }, false},
		"the second ends":        {func(f *fixture) { f.clock.Advance(time.Hour) }, true},
		"another lifts them all": {func(f *fixture) { _, _ = f.another().Resume(bg, "") }, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := &searched{after: func() {}}
			f := newFixture(t, breaking, func(c *Config) { s.Store, c.Store = c.Store, s })
			f.flood(12)
			f.refused(to(gb(100), "GB"), WhyPrefixPaused, 2*time.Hour)
			f.clock.Advance(time.Hour)
			for i := range 12 {
				f.reserve(to(fr(i), "FR"))
			}
			f.refused(to(fr(100), "FR"), WhyPrefixPaused, 2*time.Hour)
			s.after = func() {
				s.after = func() {}
				tt.meanwhile(f)
			}
			if got, err := f.Resume(bg, ""); got != tt.want || err != nil {
				t.Errorf("Resume = %v, %v, want %v", got, err, tt.want)
			}
			f.watcher.want(t, "resumed GB", 1)
			f.watcher.want(t, "resumed FR", 1)
			f.reserve(to(gb(100), "GB"))
			f.reserve(to(fr(100), "FR"))
		})
	}
}
