// SPDX-License-Identifier: Apache-2.0

package instance

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/caddy-threepid/caddy-threepid/caddymodule/guest"
	"github.com/caddy-threepid/caddy-threepid/internal/mail"
	"github.com/caddy-threepid/caddy-threepid/internal/sms"
)

// Guests are other people's code. What they panic with and what their errors are made of
// ends in this file: behind it are nobody's methods but ours.

// panicError is a panic of a guest.
type panicError struct{ with any }

func (e *panicError) Error() string { return fmt.Sprintf("it panicked: %v", e.with) }

// Guarded calls a guest. A panic is an error, and a nil pointer is none.
func Guarded(call func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &panicError{p}
		}
	}()
	err = call()
	switch v := reflect.ValueOf(err); v.Kind() {
	case reflect.Pointer, reflect.Map, reflect.Slice:
		if v.IsNil() {
			return nil
		}
	default:
	}
	return err
}

// sent calls a guest that sends, and reads its error. Nobody knows how far one that
// panics has got, and what it panics with may quote the message.
func sent(call func() error) error {
	var err error
	panicked := Guarded(func() error {
		err = plain(Guarded(call))
		return nil
	})
	if panicked != nil || errors.As(err, new(*panicError)) {
		return &guest.SendError{Reason: guest.ReasonGateway, Fault: true, Unsure: true, Err: errors.New("it panicked")}
	}
	return err
}

// plain is what an error of a guest says. Those of our own guests pass as they are.
func plain(err error) error {
	if err == nil || errors.As(err, new(*panicError)) || errors.As(err, new(*mail.SendError)) || errors.As(err, new(*sms.SendError)) {
		return err
	}
	var (
		again  interface{ Temporary() bool }
		unsure interface{ Uncertain() bool }
		fault  interface{ Operator() bool }
		wait   interface{ RetryAfter() time.Duration }
	)
	said := &guest.SendError{Reason: guest.ReasonGateway, Err: errors.New(err.Error())}
	said.Again = errors.As(err, &again) && again.Temporary()
	said.Unsure = errors.As(err, &unsure) && unsure.Uncertain()
	said.Fault = errors.As(err, &fault) && fault.Operator()
	if errors.As(err, &wait) {
		said.Wait = wait.RetryAfter()
	}
	theirs, ok := errors.AsType[*guest.SendError](err)
	if ok && slices.Contains(reasons, theirs.Reason) {
		said.Reason = theirs.Reason
	}
	if !ok && !said.Again && !said.Unsure && !said.Fault {
		return said.Err // it is final, and tells nothing of the guest
	}
	if ok && error(theirs) == err { //nolint:errorlint // one that is wrapped has more to say
		if said.Err = nil; theirs.Err != nil {
			said.Err = errors.New(theirs.Err.Error())
		}
	}
	return said
}

// reasons are the words that a guest may have for a failure.
var reasons = []string{
	guest.ReasonUnreachable, guest.ReasonTimeout, guest.ReasonAuth, guest.ReasonCredit, guest.ReasonRate, guest.ReasonGateway, guest.ReasonRejected,
}

// posting is a mailer as the outbox has it.
type posting struct{ guest.Mailer }

func (p posting) Send(ctx context.Context, from, to string, message []byte) error {
	return sent(func() error { return p.Mailer.Send(ctx, from, to, message) })
}
