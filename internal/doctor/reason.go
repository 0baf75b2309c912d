// SPDX-License-Identifier: Apache-2.0

package doctor

import "strings"

// reasons are the words by which the mailer tells why a relay failed, where
// they are not our codes spelled with hyphens.
var reasons = map[string]string{
	"dns": CodeNameUnknown, "refused": CodeRefused, "lost": CodeLost, "interrupted": CodeTimeout,
	"not-smtp": CodeRelayFailed, "tls-version": CodeTLSFailed, "cert-invalid": CodeTLSFailed,
	"cert-not-yet-valid": CodeCertExpired, "starttls-injection": CodeSTARTTLSInjected,
	"auth-not-offered": CodeAuthNoMechanism, "auth-broken": CodeAuthRefused, "auth-unproven": CodeAuthRefused,
	"client-refused": CodeHelloRefused, "deferred": CodeRelayDeferred, "relay-shutting-down": CodeRelayDeferred,
	"unexpected-reply": CodeRelayFailed, "busy": CodeRelayDeferred, "rate-limited": CodeRelayDeferred,
}

// CodeOfReason is the code of a [RelayStep] for a word of the mailer's. A word
// that is not known gets none, and the step decides.
func CodeOfReason(reason string) string {
	if code, ok := reasons[reason]; ok {
		return code
	}
	code := strings.ReplaceAll(reason, "-", "_")
	_, refusal := relaySentences[code]
	if _, network := faultTexts[code]; refusal || network || code == CodeCertExpiresSoon {
		return code
	}
	return ""
}
