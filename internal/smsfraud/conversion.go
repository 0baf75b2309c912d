// SPDX-License-Identifier: Apache-2.0

package smsfraud

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Conversion says when a prefix is paused: when too few of the codes that are
// sent there come back. Zero fields have their defaults.
type Conversion struct {
	// Ratio is the least of verified to sent; 0.1 by default.
	Ratio float64
	// Sample is how many messages it takes to judge; 20 by default.
	Sample int
	// Pause is for how long nothing is sent there; 24 hours by default.
	Pause time.Duration
	// Window is how far back is looked; 6 hours by default.
	Window time.Duration
	// Off switches all this off.
	Off bool
}

// patience is how long a person may take to type a code in: younger messages
// are not called unverified, unless there are floodFactor samples of them.
const (
	patience    = 2 * time.Minute
	floodFactor = 3
)

func (c Conversion) withDefaults() (Conversion, error) {
	if c.Ratio < 0 || c.Ratio > 1 || c.Sample < 0 || c.Pause < 0 || c.Window < 0 {
		return c, errors.New("conversion: the ratio must be between 0 and 1, and nothing may be negative")
	}
	if c.Ratio == 0 {
		c.Ratio = 0.1
	}
	if c.Sample == 0 {
		c.Sample = 20
	}
	if c.Pause == 0 {
		c.Pause = day
	}
	if c.Window == 0 {
		c.Window = 6 * time.Hour
	}
	if c.Window < 10*time.Minute || c.Window > 7*day {
		return c, errors.New("conversion: the window must be between ten minutes and a week")
	}
	if c.Pause > 365*day {
		return c, errors.New("conversion: the pause must be at most a year (8760h)")
	}
	return c, nil
}

// span divides the window into at most 1,440 buckets.
func (c Conversion) span() span {
	const most = 1440
	size := max(time.Second, c.Window/most)
	return span{size, int64((c.Window + size - 1) / size)}
}

// prefixRecord is what is known of one prefix: codes sent (First) and come back
// (Second), and whether it is paused.
type prefixRecord struct {
	Digits  string   `cbor:"1,keyasint"`
	Region  string   `cbor:"2,keyasint"` // of the last number
	Buckets []bucket `cbor:"3,keyasint,omitempty"`
	Since   int64    `cbor:"4,keyasint,omitempty"` // Unix nanoseconds, as Until
	Until   int64    `cbor:"5,keyasint,omitempty"` // zero: not paused
	// Size is that of the buckets, which changes with the configured window.
	Size time.Duration `cbor:"6,keyasint,omitempty"`

	span span
}

func (p *prefixRecord) tidy(now time.Time) (mended bool) {
	if p.Size != p.span.size { // another window was configured: begin anew
		p.Buckets, p.Size = nil, p.span.size
	}
	p.Buckets, mended = p.span.tidy(p.Buckets, now)
	if at, moved := mend(p.Since, now); moved {
		p.Since, p.Until, mended = at, at+p.Until-p.Since, true
	}
	return mended
}

// expires keeps a pause a little beyond its end, so that its end is noticed.
func (p *prefixRecord) expires() (at time.Time) {
	if p.Until != 0 {
		at = time.Unix(0, p.Until).Add(day)
	}
	if n := len(p.Buckets); n > 0 {
		at = later(at, p.span.gone(p.Buckets[n-1].Index))
	}
	return at
}

// paused is for how much longer the prefix is paused. One that is not has been so until 1970.
func (p *prefixRecord) paused(now time.Time) time.Duration {
	return max(0, time.Unix(0, p.Until).Sub(now))
}

// over reports that a pause has come to its end, and lifts it.
func (p *prefixRecord) over(now time.Time) bool {
	if p.Until == 0 || p.paused(now) > 0 {
		return false
	}
	p.lift()
	return true
}

// lift ends a pause; what led to it no longer counts.
func (p *prefixRecord) lift() { p.Buckets, p.Since, p.Until = nil, 0, 0 }

// trip pauses the prefix if its codes do not come back, and reports that. It is
// not asked while the prefix is paused.
func (p *prefixRecord) trip(c Conversion, now time.Time) bool {
	sent, verified := sum(p.Buckets)
	var young int64
	for _, b := range p.Buckets {
		if p.span.start(b.Index + 1).After(now.Add(-patience)) {
			young += b.First
		}
	}
	// The codes of an honest burst are still being typed in; a flood is not
	// waited for.
	if young < int64(floodFactor*c.Sample) {
		sent -= young
	}
	if sent < int64(c.Sample) || float64(verified) >= c.Ratio*float64(sent) {
		return false
	}
	p.Since, p.Until = now.UnixNano(), now.Add(c.Pause).UnixNano()
	return true
}

func (p *prefixRecord) sent(now time.Time) {
	p.Buckets = p.span.add(p.Buckets, bucket{Index: p.span.index(now), First: 1})
}

func (p *prefixRecord) verified(now time.Time) {
	p.Buckets = p.span.add(p.Buckets, bucket{Index: p.span.index(now), Second: 1})
}

func (p *prefixRecord) take(at, now time.Time) {
	p.Buckets = p.span.take(p.Buckets, bucket{Index: p.span.index(at), First: 1}, now)
}

var errPrefix = errors.New(`a prefix is written as the status shows it: "+4479001…", with or without its signs`)

// Resume lifts the pause of a prefix, or all pauses if prefix is empty, and
// reports whether there was one. The statistic of the prefix starts anew.
func (s *Shield) Resume(ctx context.Context, prefix string) (bool, error) {
	digits := strings.TrimSuffix(strings.TrimPrefix(prefix, "+"), "…")
	if prefix != "" && !onlyDigits(digits) {
		return false, errPrefix
	}
	prefixes, err := s.prefixes(ctx, s.now())
	if err != nil {
		return false, err
	}
	lifted := false
	for _, p := range prefixes {
		if p.Until == 0 || digits != "" && digits != p.Digits {
			continue
		}
		// It may have ended since, or have been lifted by somebody else.
		var one bool
		_, err := s.update(ctx, message{prefix: p.Digits}, func(b *ledger) bool {
			if one = b.prefix.paused(b.now) > 0; one {
				b.prefix.lift()
				b.resumed = true
			}
			return one
		})
		if err != nil {
			return lifted, fmt.Errorf("resume prefix: %w", err)
		}
		lifted = lifted || one
	}
	return lifted, nil
}
