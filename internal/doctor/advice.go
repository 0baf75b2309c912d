// SPDX-License-Identifier: Apache-2.0

package doctor

import "strings"

// advice finds what to do: first what is said for the check and the code, then
// for the code alone. It is filled in with names from the configuration.
func (s *session) advice(f Finding) string {
	if f.Severity == OK || f.Severity == Info && infoAdvice[f.Code] == "" {
		return ""
	}
	text := infoAdvice[f.Code]
	if text == "" {
		text = connectionAdvice[f.Check+" "+f.Code]
	}
	if text == "" {
		text = codeAdvice[f.Code]
	}
	list := `trusted_third_party_id_servers: ["{identity_name}"]`
	if s.opts.Homeserver == "dendrite" {
		list = "global:\n  trusted_third_party_id_servers:\n    - {identity_name}"
	}
	text = strings.ReplaceAll(text, "{trusted_list}", list)
	return strings.NewReplacer(
		"{identity_name}", clean(s.opts.IdentityName),
		"{subject}", f.Subject,
		"{configuration}", s.homeserverFile(),
	).Replace(text)
}

// homeserverFile is what the homeserver's configuration is called.
func (s *session) homeserverFile() string {
	switch s.opts.Homeserver {
	case "synapse":
		return "homeserver.yaml"
	case "dendrite":
		return "dendrite.yaml"
	}
	return "the homeserver's configuration"
}

// infoAdvice is for findings that ask for nothing, but leave a question.
var infoAdvice = map[string]string{
	codeSPFUnknown:    "Send a test mail to a mailbox elsewhere and look for spf=pass in its Authentication-Results.",
	codeDKIMNotSigned: "Send a test mail to a mailbox elsewhere and look for dkim=pass; if it is not there, set up `dkim` in the mailer or at the relay.",
	codeDMARCNone:     "Once the reports are good, raise the policy to p=quarantine.",
	codeRateLimited:   "Run the doctor again in a few minutes.",
	codeKeyNotCopied:  "Copy {subject} to where no backup of the store is, and run: caddy threepid check-copy --file <copy>",
	codeChecksOff:     "If the homeserver is a Synapse or a Dendrite, name it: `homeserver synapse` or `homeserver dendrite`.",
}

const (
	adminSocket = "Write this into the global options of the Caddyfile, or `enforce_origin` into the block of `admin`; /run/threepid must exist and be writable " +
		"for Caddy's user (systemd: RuntimeDirectory=threepid), and this one reload needs --address with the endpoint of now:\nadmin unix//run/threepid/admin.sock|0600"

	homeserverNetwork = "The public URL was reached a moment ago, so look at the server's log and at what stands before it, and run the doctor again."
	urlCertificate    = "Let Caddy get a certificate for the site (it does unless `tls` says otherwise), or mend the one of the proxy that stands before it; clients refuse it as well."
	urlHairpin        = "If clients elsewhere do reach it, this machine cannot reach its own public address: add it to /etc/hosts or allow it in the router (hairpin NAT)."
	rootAdvice        = "Give the homeserver the authority of this certificate: write a bundle with `caddy threepid ca-bundle` and start it with SSL_CERT_FILE set to that file."
	identitySite      = "Add this site to the Caddyfile, or correct `identity_name`, which must be the same:\n" +
		"https://{identity_name} {\n\tbind 127.0.0.1\n\ttls internal\n\tthreepid_identity\n}"
)

// connectionAdvice is for a check and the code of a connection that did not
// come about.
var connectionAdvice = map[string]string{
	"relay " + CodeNameUnknown:    "Check the host in the mailer's `server` option, and the name server of this machine.",
	"relay " + CodeRefused:        "Check host and port in the mailer's `server` option (587 for starttls, 465 for tls), and that the relay is running.",
	"relay " + CodeLost:           "Look into the relay's log; it may not allow connections from this address, or expect `tls tls` on this port.",
	"relay " + CodeTimeout:        "Check host and port in the mailer's `server` option; many providers block outgoing port 25, so try 587 or 465.",
	"relay " + CodeUnreachable:    "Check the network and the firewall of this machine, and the mailer's `server` option.",
	"relay " + CodeTLSNotSpoken:   "The port speaks plain SMTP first: set the mailer's `tls` to starttls, or use the port for `tls tls`, mostly 465.",
	"relay " + CodeTLSFailed:      "The relay must offer TLS 1.2 or later; if it asks for a client certificate, configure one.",
	"relay " + CodeCertExpired:    "Renew the relay's certificate, and check the clock of this machine.",
	"relay " + CodeCertSelfSigned: "Give the relay a certificate of a known authority, or name its own with the mailer's `ca_file`.",
	"relay " + CodeCertAuthority:  "Name the relay's authority with the mailer's `ca_file`, or add missing intermediate certificates at the relay.",
	"relay " + CodeCertName:       "Use one of these names in the mailer's `server` option, or name it with `tls_server_name`.",

	"relay " + CodeCertExpiresSoon: "Let the relay's operator renew it.",

	"public_url " + CodeNameUnknown:    "Create the DNS records of the host in `public_url`, or correct the option.",
	"public_url " + CodeRefused:        "Check that Caddy listens on this port and that the firewall lets it through. " + urlHairpin,
	"public_url " + CodeLost:           "Look at what stands before Caddy: a proxy or a firewall breaks connections off.",
	"public_url " + CodeTimeout:        "Check the DNS records and the firewall. " + urlHairpin,
	"public_url " + CodeUnreachable:    "Check the DNS records and the network of this machine; an IPv6 record without IPv6 is a common cause.",
	"public_url " + CodeTLSNotSpoken:   "The port in `public_url` speaks plain HTTP; use the port on which Caddy serves https.",
	"public_url " + CodeTLSFailed:      "Check that the site with the name in `public_url` is in the Caddyfile and has got its certificate, see Caddy's log.",
	"public_url " + CodeCertExpired:    "See Caddy's log for why it was not renewed, and check the clock of this machine.",
	"public_url " + CodeCertSelfSigned: urlCertificate,
	"public_url " + CodeCertAuthority:  urlCertificate,
	"public_url " + CodeCertName:       "Name the site in the Caddyfile exactly as the host in `public_url`, or correct the option.",

	"identity.certificate " + CodeNameUnknown:    "Correct `identity_name`, or add the name to /etc/hosts here and where the homeserver runs.",
	"identity.certificate " + CodeRefused:        identitySite,
	"identity.certificate " + CodeLost:           "See Caddy's log for the site {identity_name}, and check that no other program listens there.",
	"identity.certificate " + CodeTimeout:        identitySite,
	"identity.certificate " + CodeUnreachable:    "Correct `identity_name` and the `bind` of its site: both must be an address of this machine that the homeserver can reach.",
	"identity.certificate " + CodeTLSNotSpoken:   identitySite,
	"identity.certificate " + CodeTLSFailed:      "Check that the site has the same name as `identity_name`; for an IP address, Caddy also needs the global option `default_sni`.",
	"identity.certificate " + CodeCertExpired:    "See Caddy's log for why it was not renewed, and check the clock of this machine.",
	"identity.certificate " + CodeCertSelfSigned: "Use `tls internal` for this site. " + rootAdvice,
	"identity.certificate " + CodeCertAuthority:  rootAdvice,
	"identity.certificate " + CodeCertName:       identitySite,

	"wiring " + CodeProxyNotTrusted: "Name its network in the global options, so that the clients behind it can be told apart:\n" +
		"servers {\n\ttrusted_proxies static <address or network of the proxy>\n}",

	"homeserver.trust " + CodeTimeout: "The homeserver probably waits for {identity_name}: from where it runs, the name must lead to this Caddy, and no firewall may swallow the packets.",

	"dns.spf " + codeDNSFailed: "Check the name server of this machine; receivers that have the same trouble defer our mail.",
}

// codeAdvice is for a code, whatever the check.
var codeAdvice = map[string]string{
	codeTimedOut: "Run the doctor again, and if this stays, look into the log for what the server is waiting for.",
	codeFailed:   "Report this as a bug; the other checks are not affected.",

	CodeNameUnknown: homeserverNetwork, CodeRefused: homeserverNetwork, CodeLost: homeserverNetwork,
	CodeTimeout:     "Look into the homeserver's log for why it does not answer.",
	CodeUnreachable: homeserverNetwork, CodeTLSNotSpoken: homeserverNetwork, CodeTLSFailed: homeserverNetwork,
	CodeCertExpired: homeserverNetwork, CodeCertSelfSigned: homeserverNetwork, CodeCertAuthority: homeserverNetwork,
	CodeCertName:        homeserverNetwork,
	CodeCertExpiresSoon: "See Caddy's log for why it was not renewed.",

	CodeGreetingRefused: "Ask the relay's operator whether the address of this machine is blocked; a relay for log-in mostly listens on port 587.",
	CodeHelloRefused:    "Set the mailer's `helo` to the full host name of this machine, with an address record for it.",
	CodeNoSTARTTLS:      "Use the relay's port for log-in (587), or `tls tls` with port 465; if it should be offered here, somebody on the way may have removed it.",
	CodeAuthRefused:     "Check `username` and `password` of the mailer; some providers want a password made for this application only.",
	CodeAuthNoMechanism: "Check that the port is the one for log-in (587 or 465), or leave out `username` and `password` if the relay knows this machine by its address.",
	CodeSenderRefused:   "Check the mailer's `from`: the relay must allow this account or machine to send in its name.",
	CodeRelayFailed:     "Look into the relay's log for this moment.",

	CodeTLSExpected:      "Set the mailer's `tls` to tls, or use the port for starttls, mostly 587.",
	CodeSTARTTLSRefused:  "Look into the relay's log; its certificate or key may be missing.",
	CodeSTARTTLSInjected: "Treat the way to the relay as hostile: use `tls tls` with port 465, and find out who is in between.",
	CodeClientCert:       "Configure the client certificate that the relay's operator has issued.",
	CodePlainAuth:        "Set the mailer's `tls` to starttls or tls, or leave out `username` and `password`.",
	CodeAuthRequired:     "Set `username` and `password` of the mailer.",
	CodeNoToken:          "Look into the log for what the source of tokens answers, and renew its credentials.",
	CodeRelayDeferred:    "Run the doctor again in a few minutes; messages are kept and tried again.",

	codeDNSFailed:      "Check the name server of this machine, and those of the domain.",
	codeDomainNoMail:   "Give the domain an MX record, or use a domain in the mailer's `from` that receives mail.",
	codeNullMX:         "Replace the null MX by a real one, or use a domain in the mailer's `from` that receives mail.",
	codeSPFMissing:     "Publish a TXT record at {subject} that lists the relays, like: v=spf1 mx include:<the provider's record> ~all",
	codeSPFSeveral:     "Merge the TXT records that begin with v=spf1 into one.",
	codeSPFSyntax:      "Correct the TXT record at {subject} that begins with v=spf1; receivers treat it as an error.",
	codeSPFInclude:     "Remove the include, or correct the name in it; receivers treat it as an error.",
	codeSPFPassAll:     "Replace +all by ~all or -all.",
	codeSPFLookups:     "Remove includes that are not needed any more, or replace a and mx by ip4 and ip6.",
	codeSPFRelay:       "Add the relay to the SPF record of {subject}, with a:, ip4: or the provider's include:; if it sends from other addresses, check that those are listed.",
	codeDKIMMissing:    "Publish the TXT record that belongs to the key, and check domain and selector of the mailer's `dkim`.",
	codeDKIMSeveral:    "Leave one TXT record at this name; a new key gets a new selector.",
	codeDKIMSyntax:     "Publish the record as it was made for the key: v=DKIM1; k=...; p=<the key in one piece>",
	codeDKIMKeyType:    "Publish the record of the key that the mailer's `dkim` uses, or give it the key that is published.",
	codeDKIMRevoked:    "Make a new key with a new selector, publish it, and use it in the mailer's `dkim`.",
	codeDKIMMismatch:   "Publish the record of the key that the mailer's `dkim` uses, or give it the key that is published.",
	codeDKIMWeak:       "Make a new key with 2048 bits and a new selector.",
	codeDKIMTesting:    "Remove t=y from the record once test mails arrive with dkim=pass.",
	codeDKIMMisaligned: "Sign with the domain {subject}, or with another of the same organisation.",
	codeDMARCMissing:   "Publish a TXT record at _dmarc.{subject}, to begin with: v=DMARC1; p=none",
	codeDMARCSeveral:   "Leave one TXT record that begins with v=DMARC1.",
	codeDMARCSyntax:    "Correct the TXT record; a minimal one is: v=DMARC1; p=none",
	codeDMARCUnaligned: "Sign with `dkim` in the mailer for the domain {subject}, or use an envelope sender in that domain.",

	codeURLInvalid:       "Set `public_url` like https://matrix.example.org, and `identity_name` like localhost:8443.",
	codeURLNotPublic:     "Set `public_url` to the name by which people reach the server; this one is good for trials only.",
	codeURLPlain:         "Set `public_url` to https://..., and let Caddy serve the site with a certificate.",
	codeRedirected:       "Set `public_url` to the origin where the redirects end, or take the paths /_matrix/ and /_threepid/ out of the redirect.",
	codeNotThisModule:    "Write `threepid` into the site of {subject}, before `reverse_proxy` and outside of any `handle` that does not get these paths; or the DNS leads to another server.",
	codeBadGateway:       "Check where the proxy before Caddy forwards to, and that it passes on all paths of the host.",
	codeOtherInstance:    "Check that `public_url` leads to this server; servers that share the work must have the same `key_file` and store.",
	codeNotMatrix:        "Check the address after `reverse_proxy` in the site of the public URL, and that /_matrix/client is passed on unchanged.",
	codeHomeserverDown:   "Check that the homeserver is running, and the address after `reverse_proxy` in the site of the public URL.",
	codeFeatureMissing:   "Write `threepid` before `reverse_proxy` in the same site, and let no other directive answer /_matrix/client/versions.",
	codeNotTrusted:       "Write this line into {configuration}, the same byte for byte, and restart the homeserver; Synapse 1.0 to 1.3.1 also needs email.trust_identity_server_for_password_resets: true.\n{trusted_list}",
	codeCannotReachUs:    "From where the homeserver runs, {identity_name} must lead to this Caddy, and its certificate must be trusted: start the homeserver with SSL_CERT_FILE set to what `caddy threepid ca-bundle` writes.",
	codeResetDisabled:    "Write these lines into {configuration} and restart the homeserver:\nemail:\n  trust_identity_server_for_password_resets: true",
	codeWrongIdentity:    "Where the homeserver runs, {identity_name} leads to another server: check its name resolution, and that only our site listens there.",
	codeNoProofNeeded:    "Take the homeserver off the network until this is understood: anybody may be able to reset any password.",
	codeHomeserverError:  "Look into the homeserver's log for this moment; it did not understand an answer that others do.",
	codeNative:           "Such a Synapse sends its own mail: configure its `email` section, and take `homeserver synapse` out of the Caddyfile.",
	codeUnexpected:       "Look into the homeserver's log for this moment; a proxy between Caddy and the homeserver may be the cause.",
	codeWrongSite:        "The site needs `threepid_identity` and nothing else that answers; it must not be the public one:\nhttps://{identity_name} {\n\tbind 127.0.0.1\n\ttls internal\n\tthreepid_identity\n}",
	CodeSiteMissing:      "Write `threepid` before `reverse_proxy` into the site that clients use, which is that of `public_url`.",
	CodeIdentityMissing:  identitySite,
	CodeIdentityPort:     "Let the site listen on the port of `identity_name`, or correct `identity_name` here and in {configuration}; the two must be the same.",
	CodeIdentityHidden:   "Name the site as `identity_name` is, {identity_name}, and let nothing in it stand before `threepid_identity` or around it.",
	CodeLinksNotCovered:  "Write `threepid` into the site itself, before and outside of any `handle` or `route`, or let its block match /_threepid/* as well.",
	CodePathsNotCovered:  "Write `threepid` into the site itself, before and outside of any `handle` or `route`, or let its block match /_matrix/client/* and all other `path_prefixes`.",
	CodePathCut:          "Use `handle` in place of `handle_path`, and leave these paths out of `uri` and `rewrite`.",
	CodeNothingBehind:    "Write `reverse_proxy <address of the homeserver>` after `threepid`, into the same block.",
	CodeWayAround:        "Write `threepid` into this site too, or let it pass on no more than it is there for, which for federation is:\nreverse_proxy /_matrix/federation/* <homeserver>\nreverse_proxy /_matrix/key/* <homeserver>",
	codeIdentityNoPort:   "Add the port to `identity_name` (like localhost:8443), in the Caddyfile and in {configuration}.",
	codeMailNotSent:      "Configure one, with `mailer smtp`.",
	codeTemplateBroken:   "Correct it: the next start or reload will be refused; until then, what was loaded before is used. `caddy threepid render --templates <folder>` tries it out.",
	codeTemplateDoubtful: "Read the results of `caddy threepid render`.",
	codeClockSkew:        "Let the clock be set by NTP (timedatectl set-ntp true).",
	codeClockWrong:       "Let the clock be set by NTP (timedatectl set-ntp true), and check the time zone of the machine's hardware clock.",
	codeStoreFailed:      "Look into the log for errors of the store; nothing works without it.",
	codeDiskLow:          "Make room: without it no session can be kept.",
	codeDiskFull:         "Make room at once: without it no session can be kept, and the store may be damaged.",
	codeKeyMissing:       "Bring the file back from its backup before the server is restarted. Is its volume mounted?",
	codeKeyUnreadable:    "Correct the option `key_file`, or the rights of the folders above the file.",
	codeKeyUnusable:      "Bring the right file back from its backup before the server is restarted.",
	codeKeyOther:         "Bring the right file back from its backup before the server is restarted, and before its keys are rotated.",
	codeStoreNew:         "If there was a store before: stop the server, bring it back (is its volume mounted? is the path right?), or restore a backup with `caddy threepid restore`. If there was none, this passes after 30 days.",
	codeKeyMode:          "Run: chmod 600 {subject}",
	codeKeyOwner:         "Give the file to the user that runs Caddy, with chown.",
	codeKeyBesideStore:   "Move it elsewhere, name the new place with `key_file`, and back up the two apart from each other.",
	codeListMissing:      "Bring the file back: the list is still in force, but the next start or reload will be refused.",
	codeListBroken:       "Correct the file, or what writes it: the list before is still in force, but the next start or reload will be refused.",
	codeListOld:          "Download a new one: disposable domains come and go by the day. A running server notices it by itself.",
	codeOutboxUnknown:    "Look into the log for errors of the store.",
	codeOutboxOld:        "Look at what this report says about the relays; `caddy threepid status` shows the queue.",
	codeOutboxNearlyFull: "Look at what this report says about the relays, and whether somebody asks for very many tokens.",
	codeOutboxFull:       "Look at what this report says about the relays, and whether somebody asks for very many tokens.",
	codeRelayFailing:     "Look at what this report says about the relay itself; if that is well, it was the recipient or the message.",
	codeAdminOnPort:      adminSocket,
	codeAdminSocketMode:  "Write a path, and the mode 0600 behind it, into the global options of the Caddyfile:\nadmin unix//run/threepid/admin.sock|0600",
	codeRelayStopped:     "Look at what this report says about the relay itself; it is tried again without a restart.",
}
