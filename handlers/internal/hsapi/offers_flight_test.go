// SPDX-License-Identifier: Apache-2.0

package hsapi

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-threepid/caddy-threepid/handlers/internal/wire"
)

// TestOffers_WhoWaitsGetsWhatTheFirstOneGot, a failure too; and nobody waits for
// longer than they are there.
func TestOffers_WhoWaitsGetsWhatTheFirstOneGot(t *testing.T) {
	failure := errors.New("connection refused")
	for name, c := range map[string]struct {
		found *Offer
		err   error
	}{"an offer": {&Offer{Closed: true}, nil}, "a failure": {nil, failure}} {
		synctest.Test(t, func(t *testing.T) {
			var o Offers
			answer := make(chan struct{})
			asked := 0
			ask := func() (*Offer, error) {
				asked++
				<-answer
				return c.found, c.err
			}
			const crowd = 5
			got := make(chan error, crowd)
			for range crowd {
				go func() {
					found, err := o.Get(t.Context(), time.Now, ask)
					if found != c.found {
						t.Errorf("%s: got %+v", name, found)
					}
					got <- err
				}()
			}
			synctest.Wait()
			gone, leave := context.WithCancel(t.Context())
			leave()
			if _, err := o.Get(gone, time.Now, ask); !errors.Is(err, context.Canceled) {
				t.Errorf("%s: who has gone got %v", name, err)
			}
			close(answer)
			for range crowd {
				if err := <-got; !errors.Is(err, c.err) {
					t.Errorf("%s: got %v, want %v", name, err, c.err)
				}
			}
			if asked != 1 {
				t.Errorf("%s: asked %d times, want once", name, asked)
			}
		})
	}
}

// TestOffers_APanicIsNoAnswer: whoever waits for the one that a proxy cuts off is told
// that there was none, and the next one asks.
func TestOffers_APanicIsNoAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var o Offers
		fall, waits := make(chan struct{}), make(chan error)
		go func() {
			defer func() { _ = recover() }()
			_, _ = o.Get(t.Context(), time.Now, func() (*Offer, error) {
				<-fall
				panic("cut off")
			})
		}()
		synctest.Wait()
		never := func() (*Offer, error) { return nil, errors.New("it was asked again") }
		go func() {
			_, err := o.Get(t.Context(), time.Now, never)
			waits <- err
		}()
		synctest.Wait()
		close(fall)
		if err := <-waits; !errors.Is(err, wire.ErrNoAnswer) {
			t.Errorf("who waited got %v, want %v", err, wire.ErrNoAnswer)
		}
		want := &Offer{}
		if got, err := o.Get(t.Context(), time.Now, func() (*Offer, error) { return want, nil }); got != want || err != nil {
			t.Errorf("the next one got %+v, %v", got, err)
		}
	})
}

// TestOffers_HowLongTheyHold: to the second, and a refusal for no longer than it takes
// to try again.
func TestOffers_HowLongTheyHold(t *testing.T) {
	start := time.Unix(1_800_000_000, 0)
	for want, found := range map[time.Duration]*Offer{5 * time.Minute: {}, 5 * time.Second: {Closed: true}} {
		var o Offers
		o.Learn(found, start)
		asked := false
		ask := func() (*Offer, error) { asked = true; return found, nil }
		for _, c := range []struct {
			after time.Duration
			asked bool
		}{{want - 1, false}, {want, true}} {
			now := func() time.Time { return start.Add(c.after) }
			if got, err := o.Get(t.Context(), now, ask); got != found || err != nil || asked != c.asked {
				t.Errorf("after %s: got %+v, %v, asked: %v, want %v", c.after, got, err, asked, c.asked)
			}
		}
	}
}
