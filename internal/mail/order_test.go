// SPDX-License-Identifier: Apache-2.0

package mail

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/failover"
)

// TestRelaysBeginWithTheNext where the first may have had the mail already.
func TestRelaysBeginWithTheNext(t *testing.T) {
	for again, order := range map[bool]string{false: "0 1 2", true: "1 2 0"} {
		var asked []string
		var all []Transport
		for i := range 3 {
			all = append(all, transportFunc(func() error {
				asked = append(asked, fmt.Sprint(i))
				return failed("dial", 0)
			}))
		}
		r := newRelays(t, RelaysConfig{}, all...)
		_ = r.Send(WithPatience(t.Context(), Patience{Again: again}), sender, reader, nil)
		if got := strings.Join(asked, " "); got != order {
			t.Errorf("again %t: asked %s, want %s", again, got, order)
		}
	}
}

type transportFunc func() error

func (f transportFunc) Send(context.Context, string, string, []byte) error { return f() }

// TestTheFirstRelayToComeBackIsWaitedFor, whichever it is, by the clock that is given.
func TestTheFirstRelayToComeBackIsWaitedFor(t *testing.T) {
	for _, early := range []int{0, 1} {
		now := time.Unix(1000, 0)
		all := []*fake{{err: failed("dial", 0)}, {err: failed("dial", 0)}}
		r := newRelays(t, RelaysConfig{Threshold: 1, Delay: time.Minute, MaxDelay: time.Hour, Now: func() time.Time { return now }}, all[0], all[1])
		for range 4 { // the other one is left alone for longer and longer
			late := r.relays[1-early]
			p, _, ok := late.breaker.Admit(now)
			if late.breaker.Done(p, failover.Broken, now); !ok {
				t.Fatal("it is not asked")
			}
			_, now = late.breaker.Snapshot()
		}
		p, _, _ := r.relays[1-early].breaker.Admit(now)
		r.relays[1-early].breaker.Done(p, failover.Broken, now)
		p, _, _ = r.relays[early].breaker.Admit(now)
		r.relays[early].breaker.Done(p, failover.Broken, now)
		err := send(t, r)
		if got, ok := errors.AsType[*SendError](err); !ok || got.Reason != ReasonNoRelay || got.RetryAfter() < 30*time.Second || got.RetryAfter() > time.Minute {
			t.Errorf("relay %d: got %v, to wait for %s", early+1, err, got.RetryAfter())
		}
		now = now.Add(24 * time.Hour) // both are asked
		if _ = send(t, r); all[0].calls != 1 || all[1].calls != 1 {
			t.Errorf("relay %d: asked %d and %d times a day later", early+1, all[0].calls, all[1].calls)
		}
	}
}
