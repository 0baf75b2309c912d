// SPDX-License-Identifier: Apache-2.0

package doctor

// The codes that every check may use.
const (
	codeOK       = "ok"
	codeSkipped  = "skipped"
	codeTimedOut = "check_timed_out"
	codeFailed   = "check_failed"
)

// The codes of a connection that does not come about. They are the same for a
// relay, a site and the homeserver; the advice differs. A [RelayStep] may have
// any of them.
const (
	CodeNameUnknown     = "name_unknown"
	CodeRefused         = "connection_refused"
	CodeLost            = "connection_lost"
	CodeTimeout         = "timeout"
	CodeUnreachable     = "unreachable"
	CodeTLSNotSpoken    = "tls_not_spoken"
	CodeTLSFailed       = "tls_failed"
	CodeCertExpired     = "cert_expired"
	CodeCertSelfSigned  = "cert_self_signed"
	CodeCertAuthority   = "cert_unknown_authority"
	CodeCertName        = "cert_wrong_name"
	CodeCertExpiresSoon = "cert_expires_soon"
	codeNotMatrix       = "not_matrix"
	codeHomeserverDown  = "homeserver_down"
)

// What a relay can answer wrongly; these too are for a [RelayStep].
const (
	CodeGreetingRefused = "greeting_refused"
	CodeHelloRefused    = "hello_refused"
	CodeNoSTARTTLS      = "starttls_missing"
	CodeAuthRefused     = "auth_refused"
	CodeAuthNoMechanism = "auth_no_mechanism"
	CodeSenderRefused   = "sender_refused"
	CodeRelayFailed     = "relay_failed"

	CodeSTARTTLSRefused  = "starttls_refused"
	CodeSTARTTLSInjected = "starttls_injected"
	CodeTLSExpected      = "tls_expected"
	CodeClientCert       = "client_cert_refused"
	CodePlainAuth        = "plaintext_auth"
	CodeAuthRequired     = "auth_required"
	CodeNoToken          = "token_unavailable"
	CodeRelayDeferred    = "relay_deferred"
)

// The names of the domain name system.
const (
	codeDNSFailed          = "dns_failed"
	codeDomainNoMail       = "domain_no_mail"
	codeNullMX             = "null_mx"
	codeSPFMissing         = "spf_missing"
	codeSPFSeveral         = "spf_several"
	codeSPFSyntax          = "spf_syntax"
	codeSPFInclude         = "spf_include_broken"
	codeSPFPassAll         = "spf_pass_all"
	codeSPFLookups         = "spf_too_many_lookups"
	codeSPFRelay           = "spf_relay_not_listed"
	codeSPFUnknown         = "spf_unknown"
	codeDKIMNotSigned      = "dkim_not_signed"
	codeDKIMMissing        = "dkim_missing"
	codeDKIMSeveral        = "dkim_several"
	codeDKIMSyntax         = "dkim_syntax"
	codeDKIMKeyType        = "dkim_key_type"
	codeDKIMRevoked        = "dkim_revoked"
	codeDKIMMismatch       = "dkim_mismatch"
	codeDKIMWeak           = "dkim_weak_key"
	codeDKIMTesting        = "dkim_testing"
	codeDKIMMisaligned     = "dkim_misaligned"
	codeDMARCMissing       = "dmarc_missing"
	codeDMARCSeveral       = "dmarc_several"
	codeDMARCSyntax        = "dmarc_syntax"
	codeDMARCNone          = "dmarc_none"
	codeDMARCUnaligned     = "dmarc_unaligned"
	codeEnvelopeMisaligned = "envelope_misaligned"
)

// The way of clients and of the homeserver.
const (
	codeURLInvalid       = "url_invalid"
	codeURLNotPublic     = "url_not_public"
	codeURLPlain         = "url_plain_http"
	codeRedirected       = "redirected"
	codeNotThisModule    = "not_this_module"
	codeBadGateway       = "bad_gateway"
	codeOtherInstance    = "other_instance"
	codeFeatureMissing   = "feature_missing"
	codeNotTrusted       = CodeNotTrusted
	codeCannotReachUs    = CodeUnreached
	codeResetDisabled    = "reset_disabled"
	codeResetUnsupported = "reset_unsupported"
	codeWrongIdentity    = "wrong_identity_server"
	codeRateLimited      = "rate_limited"
	codeNoProofNeeded    = "accepted_without_proof"
	codeHomeserverError  = "homeserver_error"
	codeNative           = "homeserver_native"
	codeUnexpected       = "unexpected_answer"
	codeWrongSite        = "wrong_site"
)

// How the handlers are put together, for a [WiringProblem]. CodeNotTrusted and
// CodeUnreached are also what the doctor sees when it asks the homeserver itself.
const (
	CodeSiteMissing     = "site_missing"
	CodeIdentityMissing = "identity_site_missing"
	CodeIdentityPort    = "identity_site_port"
	CodeIdentityHidden  = "identity_site_hidden"
	CodeLinksNotCovered = "links_not_covered"
	CodePathsNotCovered = "paths_not_covered"
	CodePathCut         = "path_cut"
	CodeNothingBehind   = "nothing_behind"
	CodeWayAround       = "way_around"
	CodeProxyNotTrusted = "proxy_not_trusted"
	CodeNotTrusted      = "not_trusted"
	CodeUnreached       = "identity_unreachable"
)

// The machine and the configuration.
const (
	codeClockSkew        = "clock_skew"
	codeClockWrong       = "clock_wrong"
	codeStoreFailed      = "store_failed"
	codeDiskLow          = "disk_low"
	codeDiskFull         = "disk_full"
	codeDiskUnknown      = "disk_unknown"
	codeKeyMissing       = "key_file_missing"
	codeKeyUnreadable    = "key_file_unreadable"
	codeKeyMode          = "key_file_mode"
	codeKeyOwner         = "key_file_owner"
	codeKeyBesideStore   = "key_file_beside_store"
	codeKeyUnusable      = "key_file_unusable"
	codeKeyOther         = "key_file_other"
	codeKeyNotCopied     = "key_file_not_copied"
	codeStoreNew         = "store_new"
	codeOutboxUnknown    = "outbox_unknown"
	codeOutboxOld        = "outbox_old"
	codeOutboxNearlyFull = "outbox_nearly_full"
	codeOutboxFull       = "outbox_full"
	codeRelayFailing     = "relay_failing"
	codeRelayStopped     = "relay_stopped"
	codeTemplateBroken   = "template_broken"
	codeTemplateDoubtful = "template_doubtful"
	codeMailNotSent      = "mail_not_sent"
	codeChecksOff        = "checks_off"
	codeIdentityNoPort   = "identity_no_port"
	codeListMissing      = "list_missing"
	codeListBroken       = "list_broken"
	codeListOld          = "list_old"
	codeAdminOnPort      = "admin_on_port"
	codeAdminReachable   = "admin_reachable"
	codeAdminSocketMode  = "admin_socket_mode"
)

// notErrors are the codes of a milder severity than Error.
var notErrors = map[string]Severity{
	codeOK: OK,

	codeSkipped: Info, codeSPFUnknown: Info, codeDKIMNotSigned: Info, codeDMARCNone: Info,
	codeEnvelopeMisaligned: Info, codeResetUnsupported: Info, codeRateLimited: Info,
	codeDiskUnknown: Info, codeChecksOff: Info, codeAdminReachable: Info, codeKeyNotCopied: Info,

	CodeRelayDeferred: Warning, CodeCertExpiresSoon: Warning, codeDNSFailed: Warning, codeNullMX: Warning,
	codeSPFMissing: Warning, codeSPFPassAll: Warning, codeSPFRelay: Warning,
	codeDKIMWeak: Warning, codeDKIMTesting: Warning, codeDKIMMisaligned: Warning,
	codeDMARCMissing: Warning, codeDMARCSeveral: Warning, codeDMARCSyntax: Warning, codeDMARCUnaligned: Warning,
	codeURLNotPublic: Warning, codeURLPlain: Warning, codeNative: Warning, codeUnexpected: Warning,
	codeClockSkew: Warning, codeDiskLow: Warning, codeKeyOwner: Warning, codeKeyBesideStore: Warning, codeStoreNew: Warning,
	codeOutboxOld: Warning, codeOutboxNearlyFull: Warning, codeRelayFailing: Warning,
	codeTemplateDoubtful: Warning, codeMailNotSent: Warning, codeIdentityNoPort: Warning,
	codeListMissing: Warning, codeListBroken: Warning, codeListOld: Warning, codeAdminOnPort: Warning, codeAdminSocketMode: Warning,
	CodeWayAround: Warning, CodeProxyNotTrusted: Warning,
}

// severityOf is fixed for each code, so that a script may go by either.
func severityOf(code string) Severity {
	if s, ok := notErrors[code]; ok {
		return s
	}
	return Error
}
