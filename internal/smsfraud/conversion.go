// SPDX-License-Identifier: Apache-2.0

package smsfraud

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Conversion says when a prefix is paused, or a network of clients: when too few of the
// codes come back that are sent there, or asked for from there. Zero fields have their
// defaults.
type Conversion struct {
	// Ratio is the least of verified to sent; 0.1 by default.
	Ratio float64
	// Sample is how many messages it takes to judge a prefix; 20 by default.
	Sample int
	// NetworkSample is how many it takes to judge a network; a quarter of that by default,
	// and 5 at the least.
	NetworkSample int
	// Pause is for how long nothing is sent; 24 hours by default.
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
	if c.Ratio < 0 || c.Ratio > 1 || c.Sample < 0 || c.NetworkSample < 0 || c.Pause < 0 || c.Window < 0 {
		return c, errors.New("conversion: the ratio must be between 0 and 1, and nothing may be negative")
	}
	if c.Ratio == 0 {
		c.Ratio = 0.1
	}
	if c.Sample == 0 {
		c.Sample = 20
	}
	if c.NetworkSample == 0 {
		c.NetworkSample = max(5, c.Sample/4)
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

// ofNetworks is the same for networks.
func (c Conversion) ofNetworks() Conversion {
	c.Sample = c.NetworkSample
	return c
}

// prefixRecord is what is known of one prefix.
type prefixRecord struct {
	Digits string `cbor:"1,keyasint"`
	Region string `cbor:"2,keyasint"` // of the last number
	answers
}

// answers are codes sent (First) and come back (Second), and whether there is a pause
// because too few did.
type answers struct {
	Buckets []bucket `cbor:"3,keyasint,omitempty"`
	Since   int64    `cbor:"4,keyasint,omitempty"` // Unix nanoseconds, as Until
	Until   int64    `cbor:"5,keyasint,omitempty"` // zero: not paused
	// Size is that of the buckets, which changes with the configured window.
	Size time.Duration `cbor:"6,keyasint,omitempty"`

	span span
}

func (a *answers) tidy(now time.Time) (mended bool) {
	if a.Size != a.span.size { // another window was configured: begin anew
		a.Buckets, a.Size = nil, a.span.size
	}
	a.Buckets, mended = a.span.tidy(a.Buckets, now)
	if at, moved := mend(a.Since, now); moved {
		a.Since, a.Until, mended = at, at+a.Until-a.Since, true
	}
	return mended
}

// expires keeps a pause a little beyond its end, so that its end is noticed.
func (a *answers) expires() (at time.Time) {
	if a.Until != 0 {
		at = time.Unix(0, a.Until).Add(day)
	}
	if n := len(a.Buckets); n > 0 {
		at = later(at, a.span.gone(a.Buckets[n-1].Index))
	}
	return at
}

// paused is for how much longer there is a pause.
func (a *answers) paused(now time.Time) time.Duration {
	if a.Until == 0 {
		return 0 // also before 1970, where a machine without a battery begins
	}
	return max(0, time.Unix(0, a.Until).Sub(now))
}

// over reports that a pause has come to its end, and lifts it.
func (a *answers) over(now time.Time) bool {
	if a.Until == 0 || a.paused(now) > 0 {
		return false
	}
	a.lift()
	return true
}

// lift ends a pause; what led to it no longer counts.
func (a *answers) lift() { a.Buckets, a.Since, a.Until = nil, 0, 0 }

// resume lifts a pause before its end, and reports that there was one.
func (a *answers) resume(told *pauses, now time.Time) bool {
	if a.paused(now) == 0 {
		return false
	}
	a.lift()
	told.ended = true
	return true
}

// trip begins a pause if codes do not come back, and reports that.
func (a *answers) trip(c Conversion, now time.Time) bool {
	if a.Until != 0 {
		return false
	}
	sent, verified := sum(a.Buckets)
	var young int64
	for _, b := range a.Buckets {
		if a.span.start(b.Index + 1).After(now.Add(-patience)) {
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
	a.Since, a.Until = now.UnixNano(), now.Add(c.Pause).UnixNano()
	return true
}

func (a *answers) sent(now time.Time) {
	a.Buckets = a.span.add(a.Buckets, bucket{Index: a.span.index(now), First: 1})
}

func (a *answers) verified(now time.Time) {
	a.Buckets = a.span.add(a.Buckets, bucket{Index: a.span.index(now), Second: 1})
}

func (a *answers) take(at, now time.Time) {
	a.Buckets = a.span.take(a.Buckets, bucket{Index: a.span.index(at), First: 1}, now)
}

var errPrefix = errors.New(`a prefix or network is written as the status shows it: "+4479001…", with or without its signs, or "network-0123456789"`)

// Resume lifts the pause of a prefix or a network, or all pauses if what is empty, and
// reports whether there was one. The statistic of what is lifted starts anew.
func (s *Shield) Resume(ctx context.Context, what string) (bool, error) {
	digits := strings.TrimSuffix(strings.TrimPrefix(what, "+"), "…")
	if what != "" && !onlyDigits(digits) && !strings.HasPrefix(what, networkWord) {
		return false, errPrefix
	}
	now := s.now()
	prefixes, err := s.prefixes(ctx, now)
	if err != nil {
		return false, err
	}
	networks, err := s.networks(ctx, now)
	if err != nil {
		return false, err
	}
	var paused []message
	for _, p := range prefixes {
		if p.Until != 0 && (what == "" || digits == p.Digits) {
			paused = append(paused, message{prefix: p.Digits})
		}
	}
	for _, n := range networks {
		if n.Until != 0 && (what == "" || what == pseudonym(n.name)) {
			paused = append(paused, message{network: []string{n.name}})
		}
	}
	return s.resume(ctx, paused)
}

// resume lifts what is still paused of that.
func (s *Shield) resume(ctx context.Context, paused []message) (lifted bool, err error) {
	for _, m := range paused {
		var one bool // it may have ended since, or have been lifted by somebody else
		_, err := s.update(ctx, m, func(b *ledger) bool {
			if b.network != nil {
				one = b.network.resume(&b.ofNetwork, b.now)
			} else {
				one = b.prefix.resume(&b.ofPrefix, b.now)
			}
			return one
		})
		if err != nil {
			return lifted, fmt.Errorf("resume: %w", err)
		}
		lifted = lifted || one
	}
	return lifted, nil
}
