// SPDX-License-Identifier: Apache-2.0

package mail

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"testing/synctest"
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
		r := newRelays(t, failover.Config{}, all...)
		_ = r.Send(WithPatience(t.Context(), Patience{Again: again}), sender, reader, nil)
		if got := strings.Join(asked, " "); got != order {
			t.Errorf("again %t: asked %s, want %s", again, got, order)
		}
	}
}

type transportFunc func() error

func (f transportFunc) Send(context.Context, string, string, []byte) error { return f() }

// TestARelayIsProbedByWhoHasAPlace: who waits for one of its connections keeps nobody away.
func TestARelayIsProbedByWhoHasAPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := (&bubble{final: "250 taken\r\n"}).transport(t, SMTPConfig{MaxConnections: 1})
		works := s.dial
		s.dial = func(context.Context, string, string) (net.Conn, error) { return nil, errLost }
		r := newRelays(t, failover.Config{Threshold: 1, Delay: time.Minute}, s)
		_ = send(t, r)
		time.Sleep(time.Minute)
		s.dial = works
		s.slots <- struct{}{} // somebody has the only place
		done := make(chan error)
		go func() { done <- send(t, r) }()
		synctest.Wait()
		if got := r.Status()[0]; got.State != failover.Open || got.InFlight != 0 {
			t.Errorf("got %+v while the probe waits", got)
		}
		<-s.slots
		if err := <-done; err != nil || r.Status()[0].State != failover.Closed {
			t.Errorf("got %v and %+v", err, r.Status()[0])
		}
	})
}
