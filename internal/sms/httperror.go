// SPDX-License-Identifier: Apache-2.0

package sms

import (
	"cmp"
	"context"
	"errors"
	"syscall"

	"github.com/caddy-threepid/caddy-threepid/internal/neterr"
)

// The causes that stand in errors. Those of net/http, crypto/tls and x509 quote
// what the other side has written.
var (
	errGarbled       = errors.New("it does not speak HTTP")
	errNotResolved   = errors.New("its name does not resolve")
	errNotReached    = errors.New("it cannot be reached")
	errHandshake     = errors.New("the handshake failed")
	errExpired       = errors.New("its certificate has expired, or is not valid yet")
	errOtherName     = errors.New("its certificate is for another name")
	errUnknownIssuer = errors.New("its certificate is of an authority that is not trusted")
	errCertificate   = errors.New("its certificate is not valid")
	errHungUp        = errors.New("the connection was lost")
)

// lost classifies a request to which no whole answer came.
func lost(ctx, within context.Context, err error, w *witness) *SendError {
	e := &SendError{Again: true, Unsure: w.sent()}
	class := neterr.Of(err)
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		e.Reason, e.Err = ReasonInterrupted, context.Canceled
	case within.Err() != nil, class == neterr.Timeout:
		e.Reason, e.Err = ReasonTimeout, context.DeadlineExceeded
	case errors.Is(err, errPlain):
		e.Reason, e.Err, e.Fault = ReasonTLS, errPlain, true
	case w.handshake.Load() != nil:
		failed := neterr.Of(*w.handshake.Load())
		e.Reason, e.Err, e.Fault = ReasonTLS, cmp.Or(handshakeCauses[failed], errHandshake), !failed.Broken()
	case class == neterr.UnknownHost:
		e.Reason, e.Err = ReasonDNS, errNotResolved
	case class == neterr.Refused:
		e.Reason, e.Err = ReasonRefused, syscall.ECONNREFUSED
	case class == neterr.NoRoute, class == neterr.NotDialled, class == neterr.DialLost, class == neterr.Canceled:
		e.Reason, e.Err = ReasonUnreachable, errNotReached
	case class.Broken() || !e.Unsure:
		e.Reason, e.Err = ReasonLost, errHungUp
	default:
		e.Reason, e.Err, e.Fault = ReasonAnswer, errGarbled, true
	}
	return e
}

// handshakeCauses are our words for failed handshakes; any other is [errHandshake].
var handshakeCauses = map[neterr.Class]error{
	neterr.Expired: errExpired, neterr.NotYetValid: errExpired, neterr.Unfit: errCertificate, neterr.WrongName: errOtherName,
	neterr.SelfSigned: errUnknownIssuer, neterr.UnknownAuthority: errUnknownIssuer,
}
