// SPDX-License-Identifier: Apache-2.0

package failover

import (
	"crypto/rand"
	"errors"
	"io"
	"time"
)

// Defaults of [Config].
const (
	DefaultThreshold = 5
	DefaultDelay     = 5 * time.Second
	DefaultMaxDelay  = 5 * time.Minute
)

// Config says how patient one is with a peer. Zero values mean the defaults.
type Config struct {
	// Threshold is how many failures in a row make a peer be left alone.
	Threshold int
	// Delay is for how long, about; it doubles up to MaxDelay.
	Delay, MaxDelay time.Duration
	// OnChange, if set, is told when a peer comes to be left alone, tried again,
	// or used again. It must not call back.
	OnChange func(Status)
	Now      func() time.Time // the clock; default: time.Now
	Random   io.Reader        // for jitter; default: crypto/rand
}

// WithDefaults fills in what is not set, and checks what is.
func (c Config) WithDefaults() (Config, error) {
	if c.Threshold < 0 || c.Delay < 0 || c.MaxDelay < 0 {
		return c, errors.New("threshold and delays must be positive")
	}
	if c.Threshold == 0 {
		c.Threshold = DefaultThreshold
	}
	if c.Delay == 0 {
		c.Delay = DefaultDelay
	}
	if c.MaxDelay == 0 {
		c.MaxDelay = max(DefaultMaxDelay, c.Delay)
	}
	if c.MaxDelay < c.Delay {
		return c, errors.New("the longest delay is shorter than the first")
	}
	if c.Random == nil {
		c.Random = rand.Reader
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c, nil
}

// closedBreaker makes a closed one of a configuration that [Config.WithDefaults] has
// completed.
func closedBreaker(c Config) *breaker {
	return &breaker{state: Closed, threshold: c.Threshold, base: c.Delay, cap: c.MaxDelay, random: c.Random}
}
