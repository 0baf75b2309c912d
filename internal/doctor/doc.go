// SPDX-License-Identifier: Apache-2.0

// Package doctor looks at a running server and says in plain words what is
// wrong and what to do: the checks behind "caddy threepid doctor".
//
// It knows nothing of Caddy. What it looks at, and the means to do it, are in
// [Options]; a check without its input is left out. All checks run at the same
// time, except for those that go through the public URL: to this module,
// through it to the homeserver, and from there back to us. Where the public URL
// leads to somebody else, nothing more is sent there.
//
// Nothing is changed by a check, and no mail is sent. The last of them asks the
// homeserver for a password reset that proves nothing, to see whether it asks
// us before it refuses. What others write (relays, certificates, records,
// errors) is repeated only in part, without control characters and without
// anything that looks like an address.
//
// # Codes
//
// Each [Finding] has a code. Codes are for scripts: one that is in this table
// keeps its meaning and its severity. "net" stands for the checks relay,
// public_url, homeserver.* and identity.certificate.
//
//	code                   | severity | checks                          | meaning
//	ok                     | ok       | any                             | nothing was found
//	skipped                | info     | homeserver.*                    | what comes first has failed
//	check_timed_out        | error    | any                             | the check did not end in time
//	check_failed           | error    | any                             | the check has a bug
//	name_unknown           | error    | net                             | the name cannot be resolved
//	connection_refused     | error    | net                             | nothing listens there
//	connection_lost        | error    | net                             | the connection broke off
//	timeout                | error    | net                             | no answer in time
//	unreachable            | error    | net                             | no way there
//	tls_not_spoken         | error    | net                             | the port speaks something else
//	tls_failed             | error    | net                             | the handshake fails
//	cert_expired           | error    | net                             | outside of its validity
//	cert_self_signed       | error    | net                             | signed by its own key
//	cert_unknown_authority | error    | net                             | the authority is not trusted
//	cert_wrong_name        | error    | net                             | for another host
//	cert_expires_soon      | warning  | net                             | was not renewed when it was due
//	greeting_refused       | error    | relay                           | turned away at once
//	hello_refused          | error    | relay                           | our name was refused
//	starttls_missing       | error    | relay                           | STARTTLS is not offered
//	auth_refused           | error    | relay                           | user name or password are wrong
//	auth_no_mechanism      | error    | relay                           | no common way to log in
//	sender_refused         | error    | relay                           | MAIL FROM was refused
//	starttls_refused       | error    | relay                           | offered, and then refused
//	starttls_injected      | error    | relay                           | written ahead of the handshake
//	tls_expected           | error    | relay                           | the port is for tls, not for starttls
//	client_cert_refused    | error    | relay                           | our certificate is wrong or missing
//	plaintext_auth         | error    | relay                           | a password, and no TLS
//	auth_required          | error    | relay                           | no log-in is configured
//	token_unavailable      | error    | relay                           | no OAuth token to be had
//	relay_deferred         | warning  | relay                           | busy for now
//	relay_failed           | error    | relay                           | anything else
//	dns_failed             | warning  | dns.*                           | the question had no answer
//	domain_no_mail         | error    | dns.mx                          | neither MX nor address
//	null_mx                | warning  | dns.mx                          | the domain takes no mail
//	spf_missing            | warning  | dns.spf                         | no record
//	spf_several            | error    | dns.spf                         | several records
//	spf_syntax             | error    | dns.spf                         | the record is not valid
//	spf_include_broken     | error    | dns.spf                         | refers to what is not there
//	spf_pass_all           | warning  | dns.spf                         | lets everybody send
//	spf_too_many_lookups   | error    | dns.spf                         | more than ten
//	spf_relay_not_listed   | warning  | dns.spf                         | the relay is not listed
//	spf_unknown            | info     | dns.spf                         | could not be evaluated
//	dkim_not_signed        | info     | dns.dkim                        | we do not sign
//	dkim_missing           | error    | dns.dkim                        | no key is published
//	dkim_several           | error    | dns.dkim                        | several keys are published
//	dkim_syntax            | error    | dns.dkim                        | the record is not valid
//	dkim_key_type          | error    | dns.dkim                        | a key of another type
//	dkim_revoked           | error    | dns.dkim                        | the key is revoked
//	dkim_mismatch          | error    | dns.dkim                        | another key
//	dkim_weak_key          | warning  | dns.dkim                        | less than 2048 bits
//	dkim_testing           | warning  | dns.dkim                        | marked as a test
//	dkim_misaligned        | warning  | dns.dkim                        | signed for another domain
//	dmarc_missing          | warning  | dns.dmarc                       | no policy
//	dmarc_several          | warning  | dns.dmarc                       | several records
//	dmarc_syntax           | warning  | dns.dmarc                       | the record is not valid
//	dmarc_none             | info     | dns.dmarc                       | the policy is none
//	dmarc_unaligned        | warning  | dns.dmarc                       | nothing of ours counts
//	envelope_misaligned    | info     | dns.dmarc                       | only the signature counts
//	url_invalid            | error    | public_url identity.certificate | not a URL, not a host
//	url_not_public         | warning  | public_url                      | for this machine or network only
//	url_plain_http         | warning  | public_url                      | without TLS
//	redirected             | error    | public_url                      | leads elsewhere
//	not_this_module        | error    | public_url                      | something else answers
//	bad_gateway            | error    | public_url                      | a proxy before us does not reach us
//	other_instance         | error    | public_url                      | the keys are not ours
//	not_matrix             | error    | homeserver.*                    | no homeserver answers
//	homeserver_down        | error    | homeserver.*                    | the proxy does not reach it
//	feature_missing        | error    | homeserver.versions             | m.require_identity_server
//	homeserver_native      | warning  | homeserver.trust                | verifies addresses itself
//	not_trusted            | error    | homeserver.trust wiring         | does not ask us
//	identity_unreachable   | error    | homeserver.trust wiring         | fails before it reaches us
//	homeserver_error       | error    | homeserver.trust                | fails after it reached us
//	reset_disabled         | error    | homeserver.trust                | resets are switched off
//	reset_unsupported      | info     | homeserver.trust                | has no resets by email
//	wrong_identity_server  | error    | homeserver.trust                | asks somebody else
//	rate_limited           | info     | homeserver.trust                | could not be checked now
//	accepted_without_proof | error    | homeserver.trust                | takes any reset
//	unexpected_answer      | warning  | homeserver.trust                | anything else
//	wrong_site             | error    | identity.certificate            | something else answers
//	clock_skew             | warning  | clock                           | more than 30 seconds
//	clock_wrong            | error    | clock                           | more than 5 minutes
//	store_failed           | error    | store                           | the ping failed
//	store_new              | warning  | store                           | younger than its keys
//	disk_low               | warning  | disk                            | less than 256 MiB
//	disk_full              | error    | disk                            | less than 64 MiB
//	disk_unknown           | info     | disk                            | cannot be found out
//	key_file_missing       | error    | key_file                        | does not exist
//	key_file_unreadable    | error    | key_file                        | cannot be looked at
//	key_file_mode          | error    | key_file                        | others may read it
//	key_file_owner         | warning  | key_file                        | belongs to somebody else
//	key_file_beside_store  | warning  | key_file                        | in the store's folder
//	key_file_unusable      | error    | key_file                        | cannot be read as one
//	key_file_other         | error    | key_file                        | not that of the running server
//	key_file_not_copied    | info     | key_file                        | no good copy is known
//	list_missing           | warning  | disposable                      | the file is gone
//	list_broken            | warning  | disposable                      | the file cannot be used
//	list_old               | warning  | disposable                      | more than 90 days
//	outbox_unknown         | error    | outbox                          | the state is unknown
//	outbox_old             | warning  | outbox                          | waiting for more than 5 minutes
//	outbox_nearly_full     | warning  | outbox                          | more than 80 %
//	outbox_full            | error    | outbox                          | no message is taken
//	relay_failing          | warning  | outbox                          | the last message failed
//	relay_stopped          | error    | outbox                          | the circuit breaker is open
//	template_broken        | error    | templates                       | not used
//	template_doubtful      | warning  | templates                       | may be wrong
//	site_missing           | error    | wiring                          | no threepid
//	identity_site_missing  | error    | wiring                          | no threepid_identity
//	identity_site_port     | error    | wiring                          | it listens on another port
//	identity_site_hidden   | error    | wiring                          | questions do not get there
//	links_not_covered      | error    | wiring                          | links do not reach threepid
//	paths_not_covered      | error    | wiring                          | nor do the paths of clients
//	path_cut               | error    | wiring                          | threepid sees another path
//	nothing_behind         | error    | wiring                          | no handler after threepid
//	way_around             | warning  | wiring                          | a way to the homeserver past it
//	proxy_not_trusted      | warning  | wiring                          | all clients count as one
//	mail_not_sent          | warning  | config                          | no mailer
//	checks_off             | info     | config                          | no kind of homeserver
//	identity_no_port       | warning  | config                          | identity_name has no port
//	admin_on_port          | warning  | admin                           | homeservers can post there
//	admin_reachable        | info     | admin                           | other programs can
//	admin_socket_mode      | warning  | admin                           | other users can
//
// [Report.ExitCode] is 0 if nothing is worse than info, 1 for warnings, and 2
// for errors.
package doctor
