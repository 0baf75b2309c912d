// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"context"
	"strings"
)

// relaySentences say what a relay has refused; those of the connection are in
// faultSentences.
var relaySentences = map[string]string{
	CodeGreetingRefused: "The relay turns us away before we have said a word",
	CodeHelloRefused:    "The relay does not like the name by which we introduce ourselves",
	CodeNoSTARTTLS:      "The relay does not offer STARTTLS, and mail is never sent unencrypted",
	CodeAuthRefused:     "The relay refuses the user name or the password",
	CodeAuthNoMechanism: "The relay offers no way to log in that we know",
	CodeSenderRefused:   "The relay does not let us send from this sender",
	CodeRelayFailed:     "The relay fails",

	CodeTLSExpected:      "The relay's port speaks TLS from the first byte, and we wait for a greeting in plain text",
	CodeSTARTTLSRefused:  "The relay offers STARTTLS and then refuses it",
	CodeSTARTTLSInjected: "Somebody wrote into the connection ahead of the TLS handshake, which was given up",
	CodeClientCert:       "The relay wants a certificate of ours, or another one",
	CodePlainAuth:        "There is a password, but no TLS, and a password is never sent in the clear",
	CodeAuthRequired:     "The relay wants a log-in, and none is configured",
	CodeNoToken:          "The source of OAuth tokens has failed",
	CodeRelayDeferred:    "The relay is busy, and asks to come back later",
}

// stepCodes are what is assumed of a step that failed without a code.
var stepCodes = map[string]string{
	"dial": CodeUnreachable, "connect": CodeUnreachable, "greeting": CodeGreetingRefused,
	"hello": CodeHelloRefused, "ehlo": CodeHelloRefused,
	"tls": CodeTLSFailed, "auth": CodeAuthRefused, "mail": CodeSenderRefused,
}

// examine tries the relay and explains the step at which it fails.
func (relay Relay) examine(ctx context.Context, r *results) {
	if relay.Check == nil {
		return
	}
	steps := relay.Check(ctx)
	if len(steps) == 0 {
		r.report(CodeRelayFailed, "The relay was not tried.")
	}
	for _, step := range steps {
		if step.OK && step.Code == CodeCertExpiresSoon {
			r.report(CodeCertExpiresSoon, "The relay's certificate ends soon (%s).", step.Detail)
		}
		if !step.OK {
			step.report(r)
			return // what comes after follows from it
		}
	}
}

func (step RelayStep) report(r *results) {
	code := step.Code
	if code == "" {
		code = stepCodes[step.Step]
	}
	if _, ok := faultTexts[code]; ok {
		r.reportFault("the relay", fault{code, step.Detail})
		return
	}
	text, ok := relaySentences[code]
	if !ok {
		code, text = CodeRelayFailed, relaySentences[CodeRelayFailed]
	}
	if detail := strings.TrimRight(clean(step.Detail), "."); detail != "" {
		text += " (" + detail + ")"
	}
	text += "."
	if said := clean(step.Said); said != "" {
		text += " The relay said: " + said
	}
	r.say(r.check.subject, code, text)
}

// localName reports whether a name, in lower case, means something in one
// network only.
func localName(name string) bool {
	i := strings.LastIndexByte(name, '.')
	switch name[i+1:] {
	case "localhost", "localdomain", "local", "internal", "lan", "home", "invalid":
		return true
	}
	return i < 0
}
