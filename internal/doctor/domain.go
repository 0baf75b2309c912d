// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"context"
	"errors"
	"net"
	"strings"

	"golang.org/x/net/idna"
	"golang.org/x/net/publicsuffix"

	"github.com/caddy-threepid/caddy-threepid/internal/neterr"
)

// normalized spells the domains as they are in the DNS, and fills in the
// envelope's.
func (d Domain) normalized() Domain {
	d.From = domainName(d.From)
	d.Envelope = domainName(d.Envelope)
	if d.Envelope == "" {
		d.Envelope = d.From
	}
	if d.DKIM != nil {
		key := *d.DKIM
		key.Domain = domainName(key.Domain)
		d.DKIM = &key
	}
	return d
}

func domainName(name string) string {
	name = strings.ToLower(strings.TrimSuffix(strings.TrimSpace(name), "."))
	if ascii, err := idna.Lookup.ToASCII(name); err == nil {
		return ascii
	}
	return name
}

// organisational is the domain that was registered (RFC 7489 §3.2).
func organisational(domain string) string {
	if org, err := publicsuffix.EffectiveTLDPlusOne(domain); err == nil {
		return org
	}
	return domain
}

// aligned compares as DMARC does unless a record says "strict" (RFC 7489 §3.1).
func aligned(a, b string, strict bool) bool {
	return a == b || !strict && organisational(a) == organisational(b)
}

// lookup asks the DNS, always for a name that is complete: with the search list
// of this machine a missing record could be found elsewhere.
type lookup struct {
	resolver Resolver
}

func absolute(name string) string {
	if !strings.Contains(name, ".") {
		return name // a name of this network, of a container perhaps
	}
	return strings.TrimSuffix(name, ".") + "."
}

// txt is empty, without an error, for a name that has no such record.
func (l lookup) txt(ctx context.Context, name string) ([]string, error) {
	records, err := l.resolver.LookupTXT(ctx, absolute(name))
	return records, unlessMissing(err)
}

func (l lookup) mxOf(ctx context.Context, name string) ([]*net.MX, error) {
	records, err := l.resolver.LookupMX(ctx, absolute(name))
	if len(records) > 0 {
		return records, nil // net.Resolver leaves malformed ones out, and says so
	}
	return nil, unlessMissing(err)
}

func (l lookup) host(ctx context.Context, name string) ([]string, error) {
	records, err := l.resolver.LookupHost(ctx, absolute(name))
	return records, unlessMissing(err)
}

// unlessMissing drops the error of a name or record that does not exist.
func unlessMissing(err error) error {
	if neterr.NoSuchName(err) {
		return nil
	}
	return err
}

// starting are the records with a prefix, whatever the case of its letters.
func starting(records []string, prefix string) []string {
	var found []string
	for _, record := range records {
		if len(record) >= len(prefix) && strings.EqualFold(record[:len(prefix)], prefix) {
			found = append(found, record)
		}
	}
	return found
}

// reportDNS notes that a question had no answer, which says nothing about the
// domain.
func (r *results) reportDNS(name string, err error) {
	reason := "the name server did not answer in time"
	if dns, ok := errors.AsType[*net.DNSError](err); ok && !dns.IsTimeout {
		reason = dns.Err
	}
	r.report(codeDNSFailed, "The records of %s cannot be looked up: %s.", name, reason)
}

// mx looks whether what is sent back arrives, and whether receivers take mail
// from the domain at all: many refuse it from one that takes none.
func (l lookup) mx(ctx context.Context, r *results, d Domain) {
	records, err := l.mxOf(ctx, d.Envelope)
	if err != nil {
		r.reportDNS(d.Envelope, err)
		return
	}
	if len(records) == 1 && strings.Trim(records[0].Host, ".") == "" {
		r.report(codeNullMX, "The domain says by a null MX that it takes no mail, so bounces are lost and some receivers refuse its mail (RFC 7505).")
		return
	}
	if len(records) > 0 {
		return
	}
	hosts, err := l.host(ctx, d.Envelope) // RFC 5321 §5.1: the implicit MX
	switch {
	case err != nil:
		r.reportDNS(d.Envelope, err)
	case len(hosts) == 0:
		r.report(codeDomainNoMail, "The domain has neither MX nor address records: bounces are lost, and many receivers refuse its mail.")
	}
}
