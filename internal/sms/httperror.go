// SPDX-License-Identifier: Apache-2.0

package sms

import (
	"context"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"syscall"
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
	var unresolved *net.DNSError
	var dialled *net.OpError
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		e.Reason, e.Err = ReasonInterrupted, context.Canceled
	case within.Err() != nil, timedOut(err):
		e.Reason, e.Err = ReasonTimeout, context.DeadlineExceeded
	case errors.Is(err, errPlain):
		e.Reason, e.Err, e.Fault = ReasonTLS, errPlain, true
	case w.handshake.Load() != nil:
		e.Reason, e.Err = ReasonTLS, handshakeCause(*w.handshake.Load())
		e.Fault = !hungUp(*w.handshake.Load())
	case errors.As(err, &unresolved):
		e.Reason, e.Err = ReasonDNS, errNotResolved
	case errors.Is(err, syscall.ECONNREFUSED):
		e.Reason, e.Err = ReasonRefused, syscall.ECONNREFUSED
	case errors.As(err, &dialled) && dialled.Op == "dial":
		e.Reason, e.Err = ReasonUnreachable, errNotReached
	case hungUp(err) || !e.Unsure:
		e.Reason, e.Err = ReasonLost, errHungUp
	default:
		e.Reason, e.Err, e.Fault = ReasonAnswer, errGarbled, true
	}
	return e
}

// handshakeCause finds our word for a failed handshake.
func handshakeCause(err error) error {
	var invalid x509.CertificateInvalidError
	var name x509.HostnameError
	var issuer x509.UnknownAuthorityError
	switch {
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return errExpired
	case errors.As(err, &invalid):
		return errCertificate
	case errors.As(err, &name):
		return errOtherName
	case errors.As(err, &issuer):
		return errUnknownIssuer
	}
	return errHandshake
}

func timedOut(err error) bool {
	var ne net.Error
	return errors.As(err, &ne) && ne.Timeout()
}

// hungUp reports that the connection ended: nobody is to blame for that.
func hungUp(err error) bool {
	for _, end := range []error{io.EOF, io.ErrUnexpectedEOF, net.ErrClosed, syscall.ECONNRESET, syscall.EPIPE} {
		if errors.Is(err, end) {
			return true
		}
	}
	return false
}
