// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

// maxSPFLookups is where receivers stop (RFC 7208 §4.6.4); maxSPFHosts the same
// for the hosts of one mx.
const (
	maxSPFLookups = 10
	maxSPFHosts   = 10
)

var (
	errNoSPF      = errors.New("no SPF record")
	errSeveralSPF = errors.New("more than one SPF record")
	errSPFLookups = errors.New("too many look-ups")
)

// includeError is a record that is referred to and cannot be used.
type includeError struct {
	domain string
	err    error
}

func (e *includeError) Error() string { return fmt.Sprintf("include %s: %v", e.domain, e.err) }

// Unwrap returns the cause.
func (e *includeError) Unwrap() error { return e.err }

// What a record says about an address (RFC 7208 §2.6). spfUnknown is ours: it
// depends on something that is not known here.
const (
	spfPass     = "pass"
	spfFail     = "fail"
	spfSoftFail = "softfail"
	spfNeutral  = "neutral"
	spfUnknown  = "unknown"
)

// spfWalk evaluates records. What it has read once it keeps, as the walk that
// counts and those of the addresses visit the same ones.
type spfWalk struct {
	lookup
	records map[string]spfAnswer
}

type spfAnswer struct {
	record *spfRecord
	err    error
}

// record reads the one SPF record of a domain.
func (w *spfWalk) record(ctx context.Context, domain string) (*spfRecord, error) {
	if known, ok := w.records[domain]; ok {
		return known.record, known.err
	}
	record, err := w.read(ctx, domain)
	w.records[domain] = spfAnswer{record, err}
	return record, err
}

func (w *spfWalk) read(ctx context.Context, domain string) (*spfRecord, error) {
	all, err := w.txt(ctx, domain)
	if err != nil {
		return nil, err
	}
	const version = "v=spf1"
	var found []string
	for _, text := range starting(all, version) {
		if len(text) == len(version) || text[len(version)] == ' ' {
			found = append(found, text)
		}
	}
	switch len(found) {
	case 0:
		return nil, errNoSPF
	case 1:
		return parseSPF(found[0])
	}
	return nil, errSeveralSPF
}

// count adds up what the worst receiver would look up, over all that a record
// includes. A record that includes itself ends at the limit.
func (w *spfWalk) count(ctx context.Context, record *spfRecord, used *int) error {
	follow := func(domain string) error {
		if strings.Contains(domain, "%") {
			return nil // nobody can tell before there is a message
		}
		next, err := w.record(ctx, domain)
		if errors.Is(err, errNoSPF) || errors.Is(err, errSeveralSPF) || errors.Is(err, errSPFSyntax) {
			return &includeError{domain, err} // RFC 7208 §5.2: a permanent error
		}
		if err != nil {
			return err
		}
		return w.count(ctx, next, used)
	}
	hasAll := false
	for _, term := range record.terms {
		hasAll = hasAll || term.name == "all"
		if !term.looksUp() {
			continue
		}
		if *used++; *used > maxSPFLookups {
			return errSPFLookups
		}
		if term.name == "include" {
			if err := follow(term.domain); err != nil {
				return err
			}
		}
	}
	if record.redirect == "" || hasAll {
		return nil
	}
	if *used++; *used > maxSPFLookups {
		return errSPFLookups
	}
	return follow(record.redirect)
}

// evaluate says what a record means for an address. The record must be sound,
// or this may not end.
func (w *spfWalk) evaluate(ctx context.Context, domain string, record *spfRecord, ip netip.Addr) string {
	ip = ip.Unmap().WithZone("")
	unsure, allGood := false, true
	for _, term := range record.terms {
		matches, known := w.match(ctx, domain, term, ip)
		if !known {
			// It might have matched, and ended the evaluation here.
			unsure, allGood = true, allGood && term.qualifier == '+'
			continue
		}
		if !matches {
			continue
		}
		verdict := map[byte]string{'+': spfPass, '-': spfFail, '~': spfSoftFail, '?': spfNeutral}[term.qualifier]
		if unsure && (verdict != spfPass || !allGood) {
			return spfUnknown
		}
		return verdict
	}
	switch {
	case unsure, strings.Contains(record.redirect, "%"):
		return spfUnknown
	case record.redirect == "":
		return spfNeutral
	}
	next, err := w.record(ctx, record.redirect)
	if err != nil {
		return spfUnknown
	}
	return w.evaluate(ctx, record.redirect, next, ip)
}

// match tries one mechanism; the second result is false if it cannot be told.
func (w *spfWalk) match(ctx context.Context, domain string, term spfTerm, ip netip.Addr) (matches, known bool) {
	if term.domain != "" {
		domain = term.domain
	}
	if term.macro() {
		return false, false
	}
	switch term.name {
	case "all":
		return true, true
	case "ip4", "ip6":
		return term.net.Masked().Contains(ip), true
	case "a":
		return w.among(ctx, term, ip, domain)
	case "mx":
		records, err := w.mxOf(ctx, domain)
		if err != nil || len(records) > maxSPFHosts {
			return false, false
		}
		hosts := make([]string, len(records))
		for i, record := range records {
			hosts[i] = record.Host
		}
		return w.among(ctx, term, ip, hosts...)
	case "include":
		next, err := w.record(ctx, domain)
		if err != nil {
			return false, false
		}
		verdict := w.evaluate(ctx, domain, next, ip)
		return verdict == spfPass, verdict != spfUnknown
	}
	return false, false // ptr, which nobody should use, and exists
}

// among reports whether an address is one of those of some hosts.
func (w *spfWalk) among(ctx context.Context, term spfTerm, ip netip.Addr, hosts ...string) (matches, known bool) {
	known = true
	for _, host := range hosts {
		addresses, err := w.addresses(ctx, host)
		if err != nil {
			known = false
		}
		for _, a := range addresses {
			bits := term.v6
			if a.Is4() {
				bits = term.v4
			}
			if p, err := a.Prefix(bits); err == nil && p.Contains(ip) {
				return true, true
			}
		}
	}
	return false, known
}

// addresses resolves a host.
func (w *spfWalk) addresses(ctx context.Context, host string) ([]netip.Addr, error) {
	if ip, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		return []netip.Addr{ip.Unmap()}, nil
	}
	found, err := w.host(ctx, host)
	if err != nil {
		return nil, err
	}
	list := make([]netip.Addr, 0, len(found))
	for _, text := range found {
		if ip, err := netip.ParseAddr(text); err == nil {
			list = append(list, ip.Unmap().WithZone(""))
		}
	}
	return list, nil
}
