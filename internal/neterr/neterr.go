// SPDX-License-Identifier: Apache-2.0

package neterr

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
)

// Class is what a connection failed of.
type Class uint8

// The classes.
const (
	Other Class = iota // none of a network or of TLS

	UnknownHost // its name does not resolve
	Refused     // nobody listens
	NoRoute     // there is no way to the host or its network
	NotDialled  // another reason why there is no connection
	DialLost    // the connection ended while it was made
	Lost        // the connection ended later
	Timeout     // nobody answered in time
	Canceled    // we did not want to know any more

	NotTLS            // the peer speaks something else
	TLSVersion        // nothing as new as what we want
	ClientCertificate // the peer wants one of ours, or another one
	Alert             // the peer ended the handshake for another reason
	Handshake         // we did

	Expired
	NotYetValid
	WrongName
	SelfSigned       // the certificate vouches for itself
	UnknownAuthority // nobody who is trusted vouches for it
	Unfit            // it breaks another rule, or cannot be judged
)

// Certificate reports that it is the peer's certificate which is at fault.
func (c Class) Certificate() bool { return c >= Expired }

// TLS reports that there was a peer, and no TLS with it.
func (c Class) TLS() bool { return c >= NotTLS }

// Broken reports that a connection ended: nobody is to blame for that.
func (c Class) Broken() bool { return c == Lost || c == DialLost }

// Of classifies an error.
func Of(err error) Class {
	for _, look := range []func(error) Class{certificate, handshake, network} {
		if c := look(err); c != Other {
			return c
		}
	}
	return Other
}

// certificate knows why a certificate was not good enough. The order in which Verify
// looks is that of the cases: time, name, authority.
func certificate(err error) Class {
	var invalid x509.CertificateInvalidError
	var name x509.HostnameError
	var authority x509.UnknownAuthorityError
	var shown *tls.CertificateVerificationError
	verified := errors.As(err, &shown)
	switch {
	case errors.As(err, &invalid) && invalid.Reason != x509.Expired:
		return Unfit
	case errors.As(err, &invalid) && strings.Contains(invalid.Detail, "is before"):
		return NotYetValid
	case errors.As(err, &invalid):
		return Expired
	case errors.As(err, &name):
		return WrongName
	case errors.As(err, &authority):
		// Its Cert is that at which the search ended, maybe the root that was shown beside it.
		if verified && len(shown.UnverifiedCertificates) > 0 && selfSigned(shown.UnverifiedCertificates[0]) {
			return SelfSigned
		}
		return UnknownAuthority
	case verified:
		return Unfit
	}
	return Other
}

// selfSigned reports a certificate that was signed by its own key. It need not be an
// authority, which CheckSignatureFrom wants; and an issuer of the same name may be
// somebody else.
func selfSigned(c *x509.Certificate) bool {
	return c.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature) == nil
}

// handshake knows what else can go wrong before TLS is spoken. What a peer's alert says
// is only in its text: crypto/tls keeps the type to itself.
func handshake(err error) Class {
	var record tls.RecordHeaderError
	var remote *net.OpError
	switch {
	case errors.As(err, &record), errors.Is(err, http.ErrSchemeMismatch):
		return NotTLS
	case strings.Contains(err.Error(), "selected unsupported protocol version"):
		return TLSVersion
	case !errors.As(err, &remote) || remote.Op != "remote error":
		if strings.HasPrefix(Cause(err), "tls: ") {
			return Handshake
		}
		return Other
	case strings.Contains(remote.Err.Error(), "protocol version"):
		return TLSVersion
	case strings.Contains(remote.Err.Error(), "certificate"):
		return ClientCertificate
	}
	return Alert
}

// network knows the errors of net, and of the systems below it.
func network(err error) Class {
	var op *net.OpError
	var waited net.Error
	dialled := errors.As(err, &op) && op.Op == "dial"
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &waited) && waited.Timeout():
		return Timeout
	case errors.Is(err, context.Canceled):
		return Canceled
	case errors.As(err, new(*net.DNSError)):
		return UnknownHost
	case errors.Is(err, syscall.ECONNREFUSED):
		return Refused
	case among(err, io.EOF, io.ErrUnexpectedEOF, net.ErrClosed, syscall.ECONNRESET, syscall.EPIPE):
		if dialled {
			return DialLost
		}
		return Lost
	case dialled && among(err, syscall.ENETUNREACH, syscall.EHOSTUNREACH):
		return NoRoute
	case dialled:
		return NotDialled
	}
	return Other
}

func among(err error, list ...error) bool {
	for _, one := range list {
		if errors.Is(err, one) {
			return true
		}
	}
	return false
}

// NoSuchName reports that a name or record does not exist, as a name server has said.
func NoSuchName(err error) bool {
	unknown, ok := errors.AsType[*net.DNSError](err)
	return ok && unknown.IsNotFound
}

// Cause is the text of the first cause: what wraps it repeats addresses and URLs.
func Cause(err error) string {
	for {
		cause := errors.Unwrap(err)
		if cause == nil {
			return err.Error()
		}
		err = cause
	}
}
