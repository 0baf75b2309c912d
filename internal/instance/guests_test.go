// SPDX-License-Identifier: Apache-2.0

package instance

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/caddymodule/guest"
	"github.com/caddy-threepid/caddy-threepid/internal/sms"
)

// ownError is an error of somebody else with the methods that the contract names.
type ownError struct{ again, fault, unsure bool }

func (*ownError) Error() string             { return "their word" }
func (e *ownError) Temporary() bool         { return e.again }
func (e *ownError) Operator() bool          { return e.fault }
func (e *ownError) Uncertain() bool         { return e.unsure }
func (*ownError) RetryAfter() time.Duration { return time.Minute }

// mute is an error that cannot be read.
type mute struct{}

func (mute) Error() string { panic("of alice@example.test") }

// mailerFunc is a mailer made of a function.
type mailerFunc func() error

func (mailerFunc) From() string                                         { return "noreply@example.test" }
func (f mailerFunc) Send(context.Context, string, string, []byte) error { return f() }

// gatewayFunc is a gateway made of a function.
type gatewayFunc func() error

func (f gatewayFunc) Send(context.Context, guest.SMS) (string, error) { return "", f() }

// eachWay has a guest send in each way that there is.
func eachWay(t *testing.T, send func() error, judge func(way string, err error)) {
	t.Helper()
	i := &Instance{cfg: Config{Mailer: mailerFunc(send)}}
	judge("mail", i.mailSender().Transport.Send(t.Context(), "", "", nil))
	test, err := i.SendTest(t.Context(), "alice@example.test")
	must(t, err)
	judge("test mail", test.Err)
	_, err = reporting{gatewayFunc(send), ""}.Send(t.Context(), sms.Message{})
	judge("sms", err)
}

// TestANilPointerIsNoError, of whatever type: who returns one has sent the message.
func TestANilPointerIsNoError(t *testing.T) {
	for _, none := range []error{(*guest.SendError)(nil), (*ownError)(nil), (*net.OpError)(nil)} {
		eachWay(t, func() error { return none }, func(way string, err error) {
			if err != nil {
				t.Errorf("%s, %T: got %#v", way, none, err)
			}
		})
	}
}

// TestAGuestThatPanicsMayHaveSent, as may one whose error does when it is read. What it
// panics with is told to nobody.
func TestAGuestThatPanicsMayHaveSent(t *testing.T) {
	for name, send := range map[string]func() error{
		"itself":              func() error { panic("of alice@example.test") },
		"its error":           func() error { return mute{} },
		"what it has wrapped": func() error { return fmt.Errorf("wrapped: %w", (*ownError)(nil)) },
		"the cause":           func() error { return &guest.SendError{Reason: guest.ReasonTimeout, Err: (*net.OpError)(nil)} },
	} {
		eachWay(t, send, func(way string, err error) {
			var said interface {
				Uncertain() bool
				Operator() bool
			}
			if !errors.As(err, &said) || !said.Uncertain() || !said.Operator() || strings.Contains(err.Error(), "alice") {
				t.Errorf("%s, %s: got %#v", way, name, err)
			}
		})
	}
}

// signing is a mailer that has its mail signed.
type signing struct {
	mailerFunc
	key crypto.Signer
}

func (s signing) Signer() *guest.DKIM {
	return &guest.DKIM{Domain: "example.test", Selector: "a", Key: s.key}
}

// TestAKeyThatCannotSignIsRefused at start, before any mail fails of it.
func TestAKeyThatCannotSignIsRefused(t *testing.T) {
	_, good, err := ed25519.GenerateKey(nil)
	must(t, err)
	for name, key := range map[string]crypto.Signer{"none": nil, "a nil pointer": (*rsa.PrivateKey)(nil), "good": good} {
		b := newBrittle(t)
		cfg := b.cfg
		cfg.Mailer = signing{func() error { return nil }, key}
		i, err := New(cfg, b.Instance.Store)
		must(t, err)
		if err := i.Start(); (err == nil) != (name == "good") {
			t.Errorf("%s: got %v", name, err)
		}
		i.Stop()
		must(t, b.Instance.Store.Destruct())
	}
}
