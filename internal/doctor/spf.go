// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"context"
	"errors"
	"net/netip"
	"slices"
)

// spf looks at the record of the envelope's domain (RFC 7208), and whether it
// lists what we send through.
func (l lookup) spf(ctx context.Context, r *results, d Domain) {
	w := &spfWalk{lookup: l, records: map[string]spfAnswer{}}
	record, err := w.record(ctx, d.Envelope)
	switch {
	case errors.Is(err, errNoSPF):
		r.report(codeSPFMissing, "The domain has no SPF record, so receivers cannot tell its mail from forged mail.")
		return
	case errors.Is(err, errSeveralSPF):
		r.report(codeSPFSeveral, "The domain has more than one SPF record, which receivers treat as an error (RFC 7208 §4.5).")
		return
	case errors.Is(err, errSPFSyntax):
		r.report(codeSPFSyntax, "The SPF record cannot be understood: %s.", err)
		return
	case err != nil:
		r.reportDNS(d.Envelope, err)
		return
	}
	if !w.sound(ctx, r, d.Envelope, record) {
		return
	}
	if slices.ContainsFunc(record.terms, func(t spfTerm) bool { return t.name == "all" && t.qualifier == '+' }) {
		r.report(codeSPFPassAll, `The SPF record ends in "+all", which lets everybody send in the name of the domain.`)
		return
	}
	for _, host := range d.RelayHosts {
		w.judgeRelay(ctx, r, d, record, host)
	}
}

// sound walks over all that the record refers to.
func (w *spfWalk) sound(ctx context.Context, r *results, domain string, record *spfRecord) bool {
	used := 0
	err := w.count(ctx, record, &used)
	var include *includeError
	switch {
	case errors.Is(err, errSPFLookups):
		r.report(codeSPFLookups, "The SPF record of %s needs more than %d look-ups, where receivers stop with an error (RFC 7208 §4.6.4).",
			domain, maxSPFLookups)
	case errors.As(err, &include):
		r.report(codeSPFInclude, "The SPF record refers to %s, which has no record that can be used: %s.", include.domain, include.err)
	case err != nil:
		r.reportDNS(domain, err)
	default:
		return true
	}
	return false
}

// judgeRelay guesses by the addresses of the relay. It may send from others,
// and if it is a provider's it mostly does, so that this is never an error.
func (w *spfWalk) judgeRelay(ctx context.Context, r *results, d Domain, record *spfRecord, host string) {
	addresses, err := w.addresses(ctx, host)
	if err != nil {
		r.reportDNS(host, err)
		return
	}
	public := slices.DeleteFunc(addresses, func(ip netip.Addr) bool {
		return ip.IsPrivate() || ip.IsLoopback() || ip.IsLinkLocalUnicast() || ip.IsUnspecified()
	})
	if len(public) == 0 {
		r.report(codeSPFUnknown, "The relay %s has no public address, so it is unknown from where its mail is seen to come.", host)
		return
	}
	for _, ip := range public {
		switch w.evaluate(ctx, d.Envelope, record, ip) {
		case spfPass:
			return
		case spfUnknown:
			r.report(codeSPFUnknown, "Whether the SPF record allows mail from the relay %s depends on the message, and was not evaluated.", host)
			return
		}
	}
	ours := organisational(d.Envelope)
	if organisational(domainName(host)) != ours && record.includesForeign(ours) {
		r.report(codeSPFUnknown, "The SPF record does not list the addresses of %s, but includes a provider; "+
			"whether that is this relay's was not evaluated.", host)
		return
	}
	r.report(codeSPFRelay, "The SPF record does not list the addresses of the relay %s.", host)
}
