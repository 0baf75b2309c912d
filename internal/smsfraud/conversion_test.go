// SPDX-License-Identifier: Apache-2.0

package smsfraud

import (
	"net/netip"
	"testing"
	"time"
)

func breaking(c *Config) {
	c.Conversion = Conversion{Sample: 4, Ratio: 0.5, Pause: 2 * time.Hour, Window: time.Hour}
}

// flood sends codes to one prefix, each to another number.
func (f *fixture) flood(n int) {
	f.Helper()
	for i := range n {
		f.reserve(to(gb(i), "GB"))
	}
}

func (f *fixture) verify(n int) {
	f.Helper()
	for range n {
		if err := f.Verified(bg, gb(1), "GB", netip.Addr{}); err != nil {
			f.Fatalf("Verified: %v", err)
		}
	}
}

func TestPrefixIsPaused(t *testing.T) {
	tests := []struct {
		name           string
		sent, verified int
		after          time.Duration
		want           bool
	}{
		{"nobody answers", 4, 0, 3 * time.Minute, true},
		{"too few to judge", 3, 0, 3 * time.Minute, false},
		{"one too few answers", 5, 2, 3 * time.Minute, true},
		{"just enough answer", 4, 2, 3 * time.Minute, false},
		{"all answer", 8, 8, 3 * time.Minute, false},
		{"a burst that is young", 11, 0, time.Minute, false},
		{"a flood is not waited for", 12, 0, 0, true},
		{"a flood with answers", 12, 6, 0, false},
		{"long ago", 12, 0, 61 * time.Minute, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t, breaking)
			f.flood(tt.sent)
			f.verify(tt.verified)
			f.clock.Advance(tt.after)
			f.reserve(to("447400123456", "GB")) // another prefix
			if !tt.want {
				f.reserve(to(gb(100), "GB"))
				f.watcher.want(t, "paused GB", 0)
				return
			}
			f.refused(to(gb(100), "GB"), WhyPrefixPaused, 2*time.Hour)
			f.reserve(to("447400123456", "GB"))
			f.watcher.want(t, "paused GB", 1)
		})
	}
}

func TestPatienceEndsAfterTwoMinutes(t *testing.T) {
	f := newFixture(t, breaking)
	f.flood(4)
	sp := f.conversion.span()
	f.clock.Advance(sp.start(sp.index(began)+1).Add(patience).Sub(began) - 1)
	r := f.reserve(to(gb(100), "GB"))
	if err := f.Release(bg, r); err != nil {
		t.Fatal(err)
	}
	f.clock.Advance(1)
	f.refused(to(gb(100), "GB"), WhyPrefixPaused, 2*time.Hour)
	if waited := f.clock.Now().Sub(began); waited > patience+sp.size {
		t.Errorf("it took %s", waited)
	}
}

func TestPauseEndsByItself(t *testing.T) {
	f := newFixture(t, breaking)
	f.flood(12)
	f.refused(to(gb(100), "GB"), WhyPrefixPaused, 2*time.Hour)
	f.verify(1)
	f.Shield = f.another() // a restart changes nothing
	f.refuses(to(gb(100), "GB"), WhyPrefixPaused, 2*time.Hour)
	if got := f.status().Paused; len(got) != 0 {
		t.Errorf("the status still shows %+v", got)
	}
	f.reserve(to(gb(100), "GB"))
	f.watcher.want(t, "paused GB", 1)
	f.watcher.want(t, "resumed GB", 1)
	f.flood(11) // the statistic has started anew, the last one is the twelfth
	f.refused(to(gb(100), "GB"), WhyPrefixPaused, 2*time.Hour)
	f.watcher.want(t, "paused GB", 2)
}

func TestPauseIsNoticedByCharge(t *testing.T) {
	f := newFixture(t, breaking)
	f.flood(12)
	if err := f.Charge(bg, to(gb(1), "GB")); err != nil {
		t.Errorf("Charge = %v before anybody has judged", err)
	}
	f.refused(to(gb(100), "GB"), WhyPrefixPaused, 2*time.Hour)
	wantRefusal(t, f.Charge(bg, to(gb(1), "GB")), WhyPrefixPaused, 2*time.Hour)
}

// TestPauseOutlivesTheWindow: the record of a pause is kept for as long as it
// lasts, however short the window.
func TestPauseOutlivesTheWindow(t *testing.T) {
	f := newFixture(t, breaking, func(c *Config) { c.Conversion.Pause = 300 * 24 * time.Hour })
	f.flood(12)
	f.refuses(to(gb(100), "GB"), WhyPrefixPaused, 300*24*time.Hour)
	f.clock.Advance(time.Hour)
	f.reserve(to(gb(100), "GB"))
	f.watcher.want(t, "resumed GB", 1)
}

func TestResume(t *testing.T) {
	for _, prefix := range []string{"", "+4479110…", "4479110", "+4479110"} {
		t.Run(prefix, func(t *testing.T) {
			f := newFixture(t, breaking)
			if ok, err := f.Resume(bg, prefix); ok || err != nil {
				t.Errorf("Resume before there is a pause = %v, %v", ok, err)
			}
			f.flood(12)
			if ok, err := f.Resume(bg, prefix); ok || err != nil {
				t.Errorf("Resume of what is not paused = %v, %v", ok, err)
			}
			f.refused(to(gb(100), "GB"), WhyPrefixPaused, 2*time.Hour)
			if ok, err := f.Resume(bg, "+447911"); ok || err != nil {
				t.Errorf("Resume of another prefix = %v, %v", ok, err)
			}
			if ok, err := f.Resume(bg, prefix); !ok || err != nil {
				t.Errorf("Resume = %v, %v, want true", ok, err)
			}
			f.watcher.want(t, "resumed GB", 1)
			if got := f.status(); len(got.Paused)+len(got.Prefixes) != 0 {
				t.Errorf("the status still shows %+v", got)
			}
			f.flood(4)
			if ok, err := f.Resume(bg, prefix); ok || err != nil {
				t.Errorf("Resume again = %v, %v", ok, err)
			}
		})
	}
	f := newFixture(t, breaking)
	for _, bad := range []string{"GB", "+", "…", "+44x"} {
		if ok, err := f.Resume(bg, bad); ok || err == nil {
			t.Errorf("Resume(%q) = %v, %v", bad, ok, err)
		}
	}
}

func TestResumeAll(t *testing.T) {
	f := newFixture(t, breaking)
	f.flood(12)
	for i := range 12 {
		f.reserve(to(fr(i), "FR"))
	}
	f.refused(to(gb(100), "GB"), WhyPrefixPaused, 2*time.Hour)
	f.refused(to(fr(100), "FR"), WhyPrefixPaused, 2*time.Hour)
	if got := f.status().Paused; len(got) != 2 || got[0].Name != "+3361200…" || !got[1].Until.Equal(began.Add(2*time.Hour)) {
		t.Errorf("got %+v", got)
	}
	if ok, err := f.Resume(bg, ""); !ok || err != nil {
		t.Fatalf("Resume = %v, %v", ok, err)
	}
	f.reserve(to(gb(100), "GB"))
	f.reserve(to(fr(100), "FR"))
}

func TestConversionOff(t *testing.T) {
	f := newFixture(t, breaking)
	f.flood(12)
	f.refused(to(gb(100), "GB"), WhyPrefixPaused, 2*time.Hour)
	f.Shield = f.another(func(c *Config) { c.Conversion.Off = true })
	f.flood(30)
	f.verify(1)
	if got := f.status(); len(got.Paused) != 0 || len(got.Prefixes) != 0 {
		t.Errorf("got %+v", got)
	}
	if ok, err := f.Resume(bg, ""); ok || err != nil {
		t.Errorf("Resume = %v, %v", ok, err)
	}
}

// TestAnotherWindow: buckets of another size mean something else, so the
// statistic starts anew; a pause stays.
func TestAnotherWindow(t *testing.T) {
	f := newFixture(t, breaking)
	f.flood(12)
	f.Shield = f.another(func(c *Config) { c.Conversion.Window = 7 * day })
	if got := f.status().Prefixes; len(got) != 0 {
		t.Errorf("got %+v", got)
	}
	f.flood(12)
	f.refused(to(gb(100), "GB"), WhyPrefixPaused, 2*time.Hour)
	f.Shield = f.another()
	f.refused(to(gb(100), "GB"), WhyPrefixPaused, 2*time.Hour)
}

// TestDatesAhead are believed as far as the clocks of two machines differ.
func TestDatesAhead(t *testing.T) {
	for ahead, want := range map[time.Duration]time.Duration{-day: -day, 0: 0, skew: skew, skew + 1: 0, day: 0} {
		got, mended := mend(began.Add(ahead).UnixNano(), began)
		if got != began.Add(want).UnixNano() || mended != (ahead != want) {
			t.Errorf("%s ahead: got %s ahead, mended %v, want %s", ahead, time.Unix(0, got).Sub(began), mended, want)
		}
		c := clientRecord{Uses: []use{{Number: "n", Last: began.Add(ahead).UnixNano()}}}
		if mended := c.tidy(began); ahead > -day && (mended != (ahead != want) || c.Uses[0].Last != got) {
			t.Errorf("%s ahead: got %+v, mended %v", ahead, c.Uses, mended)
		}
	}
}

// TestBucketsAhead: the clocks of two machines are never quite the same, so the next
// bucket is left alone; what lies beyond is from before the clock was set back.
func TestBucketsAhead(t *testing.T) {
	sp := span{size: time.Minute, n: 3}
	at := sp.index(began)
	for ahead, want := range map[int64]int64{-3: -3, 0: 0, 1: 1, 2: 0, 9: 0} {
		got, mended := sp.tidy([]bucket{{Index: at + ahead, First: 2}}, began)
		if len(got) != 1 || got[0] != (bucket{Index: at + want, First: 2}) || mended != (ahead != want) {
			t.Errorf("%d ahead: got %+v, mended %v, want it %d ahead", ahead, got, mended, want)
		}
		got = sp.take(got, bucket{Index: at + ahead, First: 1}, began)
		if len(got) != 1 || got[0] != (bucket{Index: at + want, First: 1}) {
			t.Errorf("%d ahead: one taken leaves %+v", ahead, got)
		}
		if got = sp.take(got, bucket{Index: at + ahead, First: 5}, began); len(got) != 0 {
			t.Errorf("%d ahead: all taken leaves %+v", ahead, got)
		}
	}
	for _, taken := range []bucket{{Index: at, First: 2}, {Index: at, Second: 3}} {
		left := sp.take([]bucket{{Index: at, First: 2, Second: 3}}, taken, began)
		want := bucket{Index: at, First: 2 - taken.First, Second: 3 - taken.Second}
		if len(left) != 1 || left[0] != want {
			t.Errorf("%+v taken leaves %+v, want %+v", taken, left, want)
		}
	}
	if got := sp.add([]bucket{{Index: at + 1, First: 1}}, bucket{Index: at, First: 1}); len(got) != 2 || got[0].Index != at {
		t.Errorf("one before the next: got %+v, want each in its own", got)
	}
	ahead := func(s span) []bucket { return []bucket{{Index: s.index(began) + 9, First: 1}} }
	for _, c := range []counter{{Hour: ahead(hourSpan)}, {Day: ahead(daySpan)}} {
		if !c.tidy(began) || c.tidy(began) {
			t.Errorf("%+v: want it to be mended, once", c)
		}
	}
	if got, mended := sp.tidy([]bucket{{Index: at - 4, First: 2}}, began); len(got) != 0 || mended {
		t.Errorf("what is past: got %+v, mended %v", got, mended)
	}
}
