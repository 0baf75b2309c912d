// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"strings"
	"time"
)

// relayFaults break the relay. The certificates are real, as are the refusals.
var relayFaults = []broken{
	{"nothing is broken", func(*rig) {}, nil},
	{"healthy relay with TLS from the first byte", func(r *rig) { r.relay.implicit = true }, nil},
	{"relay: unknown name", func(r *rig) { r.relayDial = noSuchName }, []string{"relay name_unknown"}},
	{"relay: nothing listens", func(r *rig) { r.relayDial = to(closedPort) }, []string{"relay connection_refused"}},
	{"relay: no route", func(r *rig) { r.relayDial = noRoute }, []string{"relay unreachable"}},
	{"relay: says nothing", func(r *rig) {
		r.relayDial = to(serveRaw(r.t, silence))
		r.change = shortly
	}, []string{"relay timeout"}},
	{"relay: hangs up", func(r *rig) { r.relayDial = to(serveRaw(r.t, slam)) }, []string{"relay connection_lost"}},
	{"relay: turns us away", func(r *rig) { r.relay.greeting = "554 5.7.1 your address is listed" }, []string{"relay greeting_refused"}},
	{"relay: refuses EHLO", func(r *rig) { r.relay.hello = "550 5.5.2 need a name" }, []string{"relay hello_refused"}},
	{"relay: STARTTLS was stripped", func(r *rig) { r.relay.offers = []string{"AUTH PLAIN"} }, []string{"relay starttls_missing"}},
	{"relay: expired certificate", func(r *rig) { r.relay.cert.to = -time.Minute }, []string{"relay cert_expired"}},
	{"relay: certificate of next year", func(r *rig) {
		r.relay.cert.from, r.relay.cert.to = time.Hour, 2*time.Hour
	}, []string{"relay cert_expired"}},
	{"relay: self-signed certificate", func(r *rig) { r.relay.cert.selfSigned = true }, []string{"relay cert_self_signed"}},
	{"relay: certificate for another name", func(r *rig) { r.relay.cert.names = []string{"mail.example.com"} }, []string{"relay cert_wrong_name"}},
	{"relay: certificate for no name", func(r *rig) { r.relay.cert.names = nil }, []string{"relay cert_wrong_name"}},
	{"relay: unknown authority", func(r *rig) {
		r.relayDial = to(r.relay.start(r.t, r.stranger))
	}, []string{"relay cert_unknown_authority"}},
	{"relay: TLS 1.1", func(r *rig) { r.relay.maxTLS = tls.VersionTLS11 }, []string{"relay tls_failed"}},
	{"relay: tls instead of starttls", func(r *rig) {
		r.relayDial = to(r.relay.start(r.t, r.ca))
		r.relay.implicit = true
	}, []string{"relay tls_not_spoken"}},
	{"relay: wrong password", func(r *rig) { r.relay.auth = "535 5.7.8 authentication failed" }, []string{"relay auth_refused"}},
	{"relay: Kerberos only", func(r *rig) { r.relay.offers = []string{"STARTTLS", "AUTH GSSAPI"} }, []string{"relay auth_no_mechanism"}},
	{"relay: foreign sender", func(r *rig) {
		r.relay.mail = "553 5.7.1 <noreply@example.org>: not owned by user"
	}, []string{"relay sender_refused"}},
	{"relay: offers STARTTLS and refuses it", reason("tls", "starttls-refused"), []string{"relay starttls_refused"}},
	{"relay: somebody in between", reason("tls", "starttls-injection"), []string{"relay starttls_injected"}},
	{"relay: wants a certificate", reason("tls", "client-cert-refused"), []string{"relay client_cert_refused"}},
	{"relay: starttls for a port with TLS", reason("greeting", "tls-expected"), []string{"relay tls_expected"}},
	{"relay: a password without TLS", reason("auth", "plaintext-auth"), []string{"relay plaintext_auth"}},
	{"relay: wants a log-in", reason("mail", "auth-required"), []string{"relay auth_required"}},
	{"relay: no token", reason("auth", "token-unavailable"), []string{"relay token_unavailable"}},
	{"relay: greylists", reason("mail", "deferred"), []string{"relay relay_deferred"}},
	{"relay: the certificate ends soon", func(r *rig) {
		r.change = func(o *Options) {
			o.Relays[0].Check = func(context.Context) []RelayStep {
				return []RelayStep{{Step: "tls", OK: true, Code: CodeOfReason("cert-expires-soon"), Detail: "TLS 1.3; until 2026-01-02"}, {Step: "mail", OK: true}}
			}
		}
	}, []string{"relay cert_expires_soon"}},
	{"relay: was not tried", func(r *rig) {
		r.change = func(o *Options) { o.Relays[0].Check = func(context.Context) []RelayStep { return nil } }
	}, []string{"relay relay_failed"}},
	{"relay: the check has a bug", func(r *rig) {
		r.change = func(o *Options) {
			o.Relays[0].Check = func(context.Context) []RelayStep { panic("victim@example.net") }
		}
	}, []string{"relay check_failed"}},
	{"relay: the check hangs", func(r *rig) {
		release := make(chan struct{})
		r.t.Cleanup(func() { close(release) })
		r.change = func(o *Options) {
			o.CheckTimeout = 2 * time.Second
			o.Relays[0].Check = func(context.Context) []RelayStep {
				<-release
				return nil
			}
		}
	}, []string{"relay check_timed_out"}},
}

// reason lets the mailer tell by a word of its own why a step failed.
func reason(step, word string) func(*rig) {
	return func(r *rig) {
		r.change = func(o *Options) {
			o.Relays[0].Check = func(context.Context) []RelayStep {
				return []RelayStep{{Step: "connect", OK: true, Code: "ok"}, {Step: step, Code: CodeOfReason(word), Detail: "delivery failed at " + step}}
			}
		}
	}
}

// shortly is for servers that never answer.
func shortly(o *Options) { o.stepTimeout = 500 * time.Millisecond }

// from changes the domain.
func from(change func(*Domain)) func(*rig) {
	return func(r *rig) {
		key := *r.domain.DKIM
		r.domain.DKIM = &key
		change(&r.domain)
	}
}

// records changes the zone, by pairs of a name and a record; a name with an
// empty record goes.
func records(pairs ...string) func(*rig) {
	return func(r *rig) {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i+1] == "" {
				delete(r.zone, pairs[i])
				continue
			}
			r.zone[pairs[i]] = strings.Split(pairs[i+1], "\n")
		}
	}
}

// both does two things.
func both(a, b func(*rig)) func(*rig) {
	return func(r *rig) {
		a(r)
		b(r)
	}
}

const (
	spfAt   = "TXT example.org"
	dkimAt  = "TXT s1._domainkey.example.org"
	dmarcAt = "TXT _dmarc.example.org"
)

// shortRSA is a key that nobody should use any more.
func shortRSA(r *rig) {
	key, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		r.t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		r.t.Fatal(err)
	}
	from(func(d *Domain) { d.DKIM.Key = &key.PublicKey })(r)
	r.zone[dkimAt] = []string{"p=" + base64.StdEncoding.EncodeToString(der)}
}

var dnsFaults = []broken{
	{"mx: none, but an address", records("MX example.org", "", "A example.org", "192.0.2.80", spfAt, "v=spf1 a:mail.example.org -all"), nil},
	{"mx: nothing", records("MX example.org", "", spfAt, "v=spf1 a:mail.example.org -all"), []string{"dns.mx domain_no_mail"}},
	{"mx: null", records("MX example.org", ".", spfAt, "v=spf1 a:mail.example.org -all"), []string{"dns.mx null_mx"}},
	{"mx: the name server fails", records("MX example.org", "!", spfAt, "v=spf1 a:mail.example.org -all"), []string{"dns.mx dns_failed"}},

	{"spf: the name server fails", records(spfAt, "!"), []string{"dns.spf dns_failed"}},
	{"spf: none", records(spfAt, "v=spf10 -all"), []string{"dns.spf spf_missing"}},
	{"spf: two", records(spfAt, "v=spf1 mx -all\nV=SPF1 a -all"), []string{"dns.spf spf_several"}},
	{"spf: a mechanism with a typo", records(spfAt, "v=spf1 mx inclde:_spf.provider.example -all"), []string{"dns.spf spf_syntax"}},
	{"spf: everybody", records(spfAt, "v=spf1 +all"), []string{"dns.spf spf_pass_all"}},
	{"spf: includes itself", records(spfAt, "v=spf1 include:example.org -all"), []string{"dns.spf spf_too_many_lookups"}},
	{"spf: eleven look-ups over two records", records(
		spfAt, "v=spf1 a a:b.example a:c.example a:d.example a:e.example include:more.example.org -all", "TXT more.example.org", "v=spf1 mx mx:b.example mx:c.example mx:d.example mx:e.example -all",
	), []string{"dns.spf spf_too_many_lookups"}},
	{"spf: ten look-ups over two records", records(
		spfAt, "v=spf1 mx a a:b.example a:c.example include:more.example.org -all", "TXT more.example.org", "v=spf1 mx mx:b.example mx:c.example mx:d.example mx:e.example -all",
	), nil},
	{"spf: includes what is gone", records(spfAt, "v=spf1 mx include:gone.example -all"), []string{"dns.spf spf_include_broken"}},
	{"spf: redirects to what is gone", records(spfAt, "v=spf1 mx redirect=gone.example"), []string{"dns.spf spf_include_broken"}},
	{"spf: the relay is not listed", records(spfAt, "v=spf1 ip4:198.51.100.1 -all"), []string{"dns.spf spf_relay_not_listed"}},
	{"spf: a provider's relay, and a provider is included", both(
		records(spfAt, "v=spf1 include:_spf.provider.example -all"),
		from(func(d *Domain) { d.RelayHosts = []string{"smtp.provider.example"} }),
	), []string{"dns.spf spf_unknown"}},
	{"spf: a provider's relay, and none is included", from(func(d *Domain) {
		d.RelayHosts = []string{"smtp.provider.example"}
	}), []string{"dns.spf spf_relay_not_listed"}},
	{"spf: the relay is on a private address", from(func(d *Domain) {
		d.RelayHosts = []string{"private.example.org", "127.0.0.1"}
	}), []string{"dns.spf spf_unknown", "dns.spf spf_unknown"}},
	{"spf: macros", records(spfAt, "v=spf1 exists:%{i}._spf.example.org -all"), []string{"dns.spf spf_unknown"}},
	{"spf: the relay cannot be looked up", both(records("A flaky.example.org", "!"), from(func(d *Domain) {
		d.RelayHosts = []string{"flaky.example.org"}
	})), []string{"dns.spf dns_failed"}},

	{"dkim: the relay signs", from(func(d *Domain) { d.DKIM = nil }), []string{"dns.dkim dkim_not_signed"}},
	{"dkim: the name server fails", records(dkimAt, "!"), []string{"dns.dkim dns_failed"}},
	{"dkim: not published", records(dkimAt, ""), []string{"dns.dkim dkim_missing"}},
	{"dkim: two keys", records(dkimAt, "v=DKIM1; p=AAAA\nv=DKIM1; p=BBBB"), []string{"dns.dkim dkim_several"}},
	{"dkim: no record of a key", records(dkimAt, "hello"), []string{"dns.dkim dkim_syntax"}},
	{"dkim: quoted twice", records(dkimAt, `v=DKIM1; k=ed25519; p=" + "AAAA`), []string{"dns.dkim dkim_syntax"}},
	{"dkim: half a key", records(dkimAt, "v=DKIM1; k=ed25519; p=AAAA"), []string{"dns.dkim dkim_syntax"}},
	{"dkim: another kind of key", records(dkimAt, "v=DKIM1; p=AAAA"), []string{"dns.dkim dkim_key_type"}},
	{"dkim: revoked", records(dkimAt, "v=DKIM1; k=ed25519; p="), []string{"dns.dkim dkim_revoked"}},
	{"dkim: another key", records(dkimAt, "v=DKIM1; k=ed25519; p="+strings.Repeat("A", 43)+"="), []string{"dns.dkim dkim_mismatch"}},
	{"dkim: short key", shortRSA, []string{"dns.dkim dkim_weak_key"}},
	{"dkim: a test", func(r *rig) { r.zone[dkimAt][0] += "; t=s:y" }, []string{"dns.dkim dkim_testing"}},
	{"dkim: for another organisation", from(func(d *Domain) { d.DKIM.Domain = "mailings.org" }), []string{"dns.dkim dkim_misaligned"}},

	{"dmarc: the name server fails", records(dmarcAt, "!"), []string{"dns.dmarc dns_failed"}},
	{"dmarc: none", records(dmarcAt, ""), []string{"dns.dmarc dmarc_missing"}},
	{"dmarc: two", records(dmarcAt, "v=DMARC1; p=none\nv=DMARC1; p=reject"), []string{"dns.dmarc dmarc_several"}},
	{"dmarc: a typo", records(dmarcAt, "v=DMARC1; p=rejct"), []string{"dns.dmarc dmarc_syntax"}},
	{"dmarc: a policy of none", records(dmarcAt, "v=DMARC1; p=none"), []string{"dns.dmarc dmarc_none"}},
	{"dmarc: bounces go elsewhere", from(func(d *Domain) { d.Envelope = "bounces.example.net" }), []string{"dns.dmarc envelope_misaligned"}},
	{"dmarc: bounces go elsewhere, and the relay signs", from(func(d *Domain) {
		d.Envelope, d.DKIM = "bounces.example.net", nil
	}), []string{"dns.dkim dkim_not_signed", "dns.dmarc dmarc_unaligned"}},
	{"dmarc: strict, and signed for a domain above", both(
		records("TXT s1._domainkey.example.org", "", "TXT _dmarc.example.org", "v=DMARC1; p=reject; adkim=s; aspf=s"),
		from(func(d *Domain) { d.Envelope, d.DKIM = "bounces.example.net", &DKIM{"example.net", "s1", dkimKey} }),
	), []string{"dns.dkim dkim_misaligned", "dns.dmarc dmarc_unaligned"}},
}
