// SPDX-License-Identifier: Apache-2.0

package mail

import (
	"errors"
	"strings"

	"github.com/caddy-threepid/caddy-threepid/internal/neterr"
)

// The words of [SendError.Reason]: all there are, for metrics, for the status
// of a relay, and for advice on what to do.
const (
	// The way to the relay.

	ReasonDNS         = "dns"         // its name does not resolve
	ReasonRefused     = "refused"     // nobody listens at its port
	ReasonUnreachable = "unreachable" // no route, or another fault of the network
	ReasonTimeout     = "timeout"     // it, or we, ran out of time
	ReasonNoGreeting  = "no-greeting" // it accepts connections, and says nothing: maybe it expects TLS
	ReasonInterrupted = "interrupted" // we were told to stop
	ReasonLost        = "lost"        // the connection ended in the middle
	ReasonNotSMTP     = "not-smtp"    // it speaks, but another protocol

	// TLS. All of these fail before a name or a password is sent.

	ReasonNoSTARTTLS       = "starttls-missing"       // not offered, or taken out on the way
	ReasonSTARTTLSRefused  = "starttls-refused"       // offered, and then refused
	ReasonInjected         = "starttls-injection"     // somebody wrote ahead of the handshake
	ReasonNoTLS            = "tls-not-spoken"         // tls is configured for a port without it
	ReasonTLSExpected      = "tls-expected"           // the other way round: starttls or none for a port with TLS
	ReasonTLSVersion       = "tls-version"            // it speaks nothing as new as TLS 1.2
	ReasonTLS              = "tls-failed"             // another fault of the handshake
	ReasonCertExpired      = "cert-expired"           // its certificate is no longer valid
	ReasonCertNotYetValid  = "cert-not-yet-valid"     // or not yet: mind the clock
	ReasonCertSelfSigned   = "cert-self-signed"       // it vouches for itself
	ReasonCertAuthority    = "cert-unknown-authority" // nobody who is trusted vouches for it
	ReasonCertName         = "cert-wrong-name"        // it is for another host
	ReasonCertInvalid      = "cert-invalid"           // another fault of the certificate
	ReasonClientCert       = "client-cert-refused"    // it wants a certificate of ours, or another one
	ReasonPlaintextRefused = "plaintext-auth"         // we send no password without TLS

	// The log-in.

	ReasonAuthRefused  = "auth-refused"        // name, password or token is wrong
	ReasonAuthRequired = "auth-required"       // it wants a log-in, none is configured
	ReasonNoAuth       = "auth-not-offered"    // no method in common
	ReasonAuthBroken   = "auth-broken"         // its side of the dialogue makes no sense
	ReasonUnproven     = "auth-unproven"       // it could not prove that it knows the password
	ReasonNoToken      = "token-unavailable"   // the source of OAuth tokens failed
	ReasonClient       = "client-refused"      // it does not serve us, or does not like our HELO
	ReasonSender       = "sender-refused"      // it does not take mail from our address
	ReasonPolicy       = "policy-refused"      // it does not relay for us, or not to that address (x.7.x)
	ReasonRecipient    = "recipient-refused"   // the address does not exist, or takes no mail
	ReasonMessage      = "message-refused"     // it took the envelope and not the message
	ReasonNoSMTPUTF8   = "smtputf8-missing"    // the address needs SMTPUTF8, the relay has it not
	ReasonNo8BITMIME   = "8bitmime-missing"    // the same for other than ASCII in a message
	ReasonDeferred     = "deferred"            // it asks to come back later (4xx)
	ReasonShutdown     = "relay-shutting-down" // 421
	ReasonReply        = "unexpected-reply"    // a code that has no place there

	// Our own side.

	ReasonBusy    = "busy"         // all connections to the relay are in use
	ReasonRate    = "rate-limited" // the relay's share of this moment is used up
	ReasonClosed  = "closed"       // the transport was closed
	ReasonNoRelay = "no-relay"     // all relays are left alone for a while
	ReasonFolder  = "folder"       // the folder cannot be written
)

// ownReasons are the words for our own errors.
var ownReasons = []struct {
	err  error
	word string
}{
	{errNoSTARTTLS, ReasonNoSTARTTLS},
	{errInjected, ReasonInjected},
	{errNoAuth, ReasonNoAuth},
	{errPlainAuth, ReasonPlaintextRefused},
	{errNotSMTP, ReasonNotSMTP},
	{errSpeaksTLS, ReasonTLSExpected},
	{errOddReply, ReasonReply},
	{errLost, ReasonLost},
	{errNoSMTPUTF8, ReasonNoSMTPUTF8},
	{errNo8BITMIME, ReasonNo8BITMIME},
	{errLoginBroken, ReasonAuthBroken},
	{errTooMuchWork, ReasonAuthBroken},
	{errNoBinding, ReasonAuthBroken},
	{errAuthRefused, ReasonAuthRefused},
	{errUnproven, ReasonUnproven},
	{errNoToken, ReasonNoToken},
}

// reasonFor finds the word for an error that is no reply of the relay.
func reasonFor(stage string, err error) string {
	for _, own := range ownReasons {
		if errors.Is(err, own.err) {
			return own.word
		}
	}
	if word := tlsReason(err); word != "" {
		return word
	}
	switch class := neterr.Of(err); {
	case class == neterr.UnknownHost:
		return ReasonDNS
	case class == neterr.Refused:
		return ReasonRefused
	case stage == "dial":
		return ReasonUnreachable
	case stage == "tls":
		return ReasonTLS
	}
	return ReasonLost
}

// tlsReasons are the words for TLS that somebody has an objection to.
var tlsReasons = map[neterr.Class]string{
	neterr.NotTLS: ReasonNoTLS, neterr.TLSVersion: ReasonTLSVersion, neterr.ClientCertificate: ReasonClientCert, neterr.Alert: ReasonTLS,
	neterr.Expired: ReasonCertExpired, neterr.NotYetValid: ReasonCertNotYetValid, neterr.WrongName: ReasonCertName,
	neterr.SelfSigned: ReasonCertSelfSigned, neterr.UnknownAuthority: ReasonCertAuthority,
	neterr.Unfit: ReasonCertInvalid,
}

// tlsReason knows the errors of crypto/tls and crypto/x509; it returns "" for
// any other.
func tlsReason(err error) string {
	class := neterr.Of(err)
	if class == neterr.Alert && errors.As(err, new(*askedError)) {
		return ReasonClientCert
	}
	return tlsReasons[class]
}

// replyReason finds the word for a reply of the relay.
func replyReason(stage string, code int, enhanced string) string {
	switch {
	case code == 421:
		return ReasonShutdown
	case code == 530:
		return ReasonAuthRequired
	case code == 552: // too big, or no room for it
		return ReasonMessage
	case code/100 == 4:
		return ReasonDeferred
	case code/100 != 5:
		return ReasonReply
	}
	switch stage {
	case "tls":
		return ReasonSTARTTLSRefused
	case "auth":
		return ReasonAuthRefused
	case "mail":
		return ReasonSender
	case "rcpt":
		if strings.HasPrefix(enhanced, "5.7.") {
			return ReasonPolicy
		}
		return ReasonRecipient
	case "data":
		return ReasonMessage
	}
	return ReasonClient
}
