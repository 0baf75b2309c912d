// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/neterr"
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

// faultCodes are the codes of what connections fail of.
var faultCodes = map[neterr.Class]string{
	neterr.UnknownHost: CodeNameUnknown, neterr.Refused: CodeRefused, neterr.NoRoute: CodeUnreachable, neterr.NotDialled: CodeUnreachable,
	neterr.DialLost: CodeLost, neterr.Lost: CodeLost, neterr.Timeout: CodeTimeout, neterr.Canceled: CodeTimeout,
	neterr.NotTLS: CodeTLSNotSpoken, neterr.TLSVersion: CodeTLSFailed, neterr.ClientCertificate: CodeTLSFailed, neterr.Alert: CodeTLSFailed,
	neterr.Handshake: CodeTLSFailed, neterr.Unfit: CodeTLSFailed, neterr.Expired: CodeCertExpired, neterr.NotYetValid: CodeCertExpired,
	neterr.WrongName: CodeCertName, neterr.SelfSigned: CodeCertSelfSigned, neterr.UnknownAuthority: CodeCertAuthority,
}

// faultOf classifies an error. Its second result is false for an error that is
// none of the network or of TLS.
func faultOf(err error) (fault, bool) {
	code, ok := faultCodes[neterr.Of(err)]
	if !ok {
		return fault{CodeLost, neterr.Cause(err)}, false
	}
	return fault{code, detailOf(code, err)}, true
}

// detailOf is what there is to say beside the code.
func detailOf(code string, err error) string {
	switch code {
	case CodeNameUnknown:
		if neterr.NoSuchName(err) {
			return "it does not exist"
		}
		unknown, _ := errors.AsType[*net.DNSError](err)
		return unknown.Err
	case CodeUnreachable, CodeTLSFailed:
		return strings.TrimPrefix(neterr.Cause(err), "tls: ")
	case CodeCertExpired:
		invalid, _ := errors.AsType[x509.CertificateInvalidError](err)
		return validity(invalid.Cert)
	case CodeCertName:
		name, _ := errors.AsType[x509.HostnameError](err)
		return "it is for " + certificateNames(name.Certificate)
	case CodeCertAuthority:
		if authority, _ := errors.AsType[x509.UnknownAuthorityError](err); authority.Cert != nil {
			return "its issuer is " + authority.Cert.Issuer.String()
		}
	}
	return ""
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
