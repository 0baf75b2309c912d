// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"time"
)

// fault is why a connection did not come about.
type fault struct {
	code   string
	detail string
}

// faultTexts say what a fault is, of a host.
var faultTexts = map[string]string{
	CodeNameUnknown:    "The name of %s cannot be resolved",
	CodeRefused:        "Nothing is listening: %s refuses the connection",
	CodeLost:           "The connection to %s broke off in the middle",
	CodeTimeout:        "There was no answer from %s in time",
	CodeUnreachable:    "There is no way to %s",
	CodeTLSNotSpoken:   "What %s answers is not TLS",
	CodeTLSFailed:      "The TLS handshake with %s fails",
	CodeCertExpired:    "The certificate of %s is not valid at this time",
	CodeCertSelfSigned: "The certificate of %s is self-signed, so nobody vouches for it",
	CodeCertAuthority:  "The certificate of %s was signed by an authority that is not trusted here",
	CodeCertName:       "The certificate of %s is for another name",
}

// explain puts the fault into a sentence.
func (f fault) explain(host string) string {
	text := sentence(faultTexts[f.code], host)
	if detail := strings.TrimRight(clean(f.detail), "."); detail != "" {
		text += ": " + detail
	}
	return text + "."
}

// faultOf classifies an error. Its second result is false for an error that is
// none of the network or of TLS.
func faultOf(err error) (fault, bool) {
	if f, ok := certificateFault(err); ok {
		return f, true
	}
	var record tls.RecordHeaderError
	var dns *net.DNSError
	var network net.Error
	switch {
	case errors.As(err, &record), errors.Is(err, http.ErrSchemeMismatch):
		return fault{code: CodeTLSNotSpoken}, true
	case strings.HasPrefix(innermost(err), "tls: "):
		return fault{CodeTLSFailed, strings.TrimPrefix(innermost(err), "tls: ")}, true
	case errors.As(err, &dns) && !dns.IsTimeout:
		if dns.IsNotFound {
			return fault{CodeNameUnknown, "it does not exist"}, true
		}
		return fault{CodeNameUnknown, dns.Err}, true
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled),
		errors.As(err, &network) && network.Timeout():
		return fault{code: CodeTimeout}, true
	case errors.Is(err, syscall.ECONNREFUSED):
		return fault{code: CodeRefused}, true
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed),
		errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return fault{code: CodeLost}, true
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
		return fault{CodeUnreachable, innermost(op.Err)}, true
	}
	return fault{CodeLost, innermost(err)}, false
}

// innermost is the text of the first cause: what wraps it repeats network
// addresses and URLs.
func innermost(err error) string {
	for {
		cause := errors.Unwrap(err)
		if cause == nil {
			return err.Error()
		}
		err = cause
	}
}

// certificateFault finds what is wrong with a certificate. Go looks at the
// dates first, then at the name, then at the chain.
func certificateFault(err error) (fault, bool) {
	var invalid x509.CertificateInvalidError
	var name x509.HostnameError
	var authority x509.UnknownAuthorityError
	switch {
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return fault{CodeCertExpired, validity(invalid.Cert)}, true
	case errors.As(err, &invalid):
		return fault{CodeTLSFailed, invalid.Error()}, true
	case errors.As(err, &name):
		return fault{CodeCertName, "it is for " + certificateNames(name.Certificate)}, true
	case errors.As(err, &authority) && authority.Cert != nil:
		if bytes.Equal(authority.Cert.RawIssuer, authority.Cert.RawSubject) {
			return fault{code: CodeCertSelfSigned}, true
		}
		return fault{CodeCertAuthority, "its issuer is " + authority.Cert.Issuer.String()}, true
	}
	return fault{}, false
}

func validity(c *x509.Certificate) string {
	return fmt.Sprintf("it is valid from %s to %s",
		c.NotBefore.UTC().Format(time.DateTime), c.NotAfter.UTC().Format(time.DateTime))
}

// certificateNames lists a few of the names that a certificate is for.
func certificateNames(c *x509.Certificate) string {
	names := append([]string(nil), c.DNSNames...)
	for _, ip := range c.IPAddresses {
		names = append(names, ip.String())
	}
	const most = 4
	switch {
	case len(names) == 0:
		return "no host at all"
	case len(names) > most:
		return strings.Join(names[:most], ", ") + " and others"
	}
	return strings.Join(names, ", ")
}
