// SPDX-License-Identifier: Apache-2.0

package mail

import (
	"context"
	"crypto/tls"
	"fmt"
	"slices"
	"strings"
	"time"
)

// The steps of a [Finding], in their order.
const (
	StepConnect  = "connect"
	StepGreeting = "greeting"
	StepEHLO     = "ehlo"
	StepTLS      = "tls"
	StepAuth     = "auth"
	StepMail     = "mail"
)

// The codes of a [Finding] besides the words of [SendError.Reason].
const (
	CodeOK          = "ok"
	CodeNotUsed     = "not-configured"    // no TLS, or no log-in
	CodeExpiresSoon = "cert-expires-soon" // within [ExpiryWarning]
)

// ExpiryWarning is how long before its end a certificate is worth a word: a
// third of what most are valid for.
const ExpiryWarning = 30 * 24 * time.Hour

// Finding is what one step of a check came to.
type Finding struct {
	Relay  string // its name among several
	Step   string
	OK     bool
	Code   string // one of the codes, or a word of SendError.Reason
	Detail string // for a person to read; it names no address and no secret
	// Said is what the relay replied, without addresses. It is not for a log.
	Said string
}

// observer is told what is found on the way. It may be nil.
type observer func(Finding)

func (o observer) ok(step, detail string) {
	if o != nil {
		o(Finding{Step: step, OK: true, Code: CodeOK, Detail: detail})
	}
}

// tls tells what was agreed upon, and for how long it will last.
func (o observer) tls(state tls.ConnectionState) {
	if o == nil {
		return
	}
	f := Finding{Step: StepTLS, OK: true, Code: CodeOK}
	f.Detail = tls.VersionName(state.Version) + ", " + tls.CipherSuiteName(state.CipherSuite)
	if len(state.VerifiedChains) > 0 {
		chain := state.VerifiedChains[0]
		names := append([]string(nil), chain[0].DNSNames...)
		for _, ip := range chain[0].IPAddresses {
			names = append(names, ip.String())
		}
		end := chain[0].NotAfter
		for _, c := range chain[1:] {
			if c.NotAfter.Before(end) {
				end = c.NotAfter
			}
		}
		f.Detail += fmt.Sprintf("; certificate for %s, issued by %s, chain of %d, valid until %s",
			strings.Join(names, " "), chain[0].Issuer, len(chain), end.UTC().Format(time.DateOnly))
		if time.Until(end) < ExpiryWarning {
			f.Code = CodeExpiresSoon
		}
	}
	f.Detail = clean(f.Detail)
	o(f)
}

// Check goes through all that a delivery does short of naming a recipient, and
// tells what it found, step by step; the last one is that which failed. It
// sends nothing. The connection is one of its own.
func (s *SMTP) Check(ctx context.Context, from string) []Finding {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	var found []Finding
	speaksTLS := func() bool { return false }
	if s.cfg.TLS != ImplicitTLS {
		speaksTLS = s.askTLS(ctx)
	}
	c, failed := s.connect(ctx, func(f Finding) { found = append(found, f) })
	if expected := speaksTLS(); failed != nil && expected {
		failed.because(errSpeaksTLS)
	}
	if failed != nil {
		return s.complete(append(found, finding(failed, found)))
	}
	defer c.quit()
	stop := context.AfterFunc(ctx, func() { _ = c.net.Close() })
	defer stop()
	f := Finding{Step: StepMail, OK: true, Code: CodeOK}
	switch {
	case !bare(from):
		f = Finding{Step: StepMail, Code: ReasonSender, Detail: ErrInvalidSender.Error()}
	default:
		if err := c.Mail(from, nil); err != nil {
			f = finding(failure(ctx, "mail", err), found)
		}
	}
	_ = c.Reset() // nothing was begun that could not be left alone
	return s.complete(append(found, f))
}

// complete puts in what a relay is not asked for by its configuration.
func (s *SMTP) complete(found []Finding) []Finding {
	var out []Finding
	for _, f := range found {
		if s.cfg.TLS == NoTLS && f.Step == StepEHLO && f.OK {
			out = append(out, f, Finding{Step: StepTLS, OK: true, Code: CodeNotUsed})
			continue
		}
		if s.cfg.Username == "" && f.Step == StepMail {
			out = append(out, Finding{Step: StepAuth, OK: true, Code: CodeNotUsed})
		}
		out = append(out, f)
	}
	return out
}

// stepOf tells at which step an error belongs.
var stepOf = map[string]string{"dial": StepConnect, "hello": StepGreeting, "tls": StepTLS, "auth": StepAuth, "mail": StepMail}

// finding is the one of a failure, after those before it.
func finding(failed *SendError, before []Finding) Finding {
	f := Finding{Step: stepOf[failed.Stage], Code: failed.Reason, Detail: failed.Error(), Said: failed.nameless()}
	if failed.Stage == "hello" && slices.ContainsFunc(before, func(f Finding) bool { return f.Step == StepGreeting }) {
		f.Step = StepEHLO
	}
	if failed.cause != nil && tlsReason(failed.cause) != "" {
		f.Step = StepTLS // with TLS 1.3, a refused certificate shows up after the handshake
	}
	return f
}
