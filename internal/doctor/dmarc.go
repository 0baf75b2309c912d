// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"context"
	"slices"
	"strconv"
	"strings"
)

// dmarc looks at the policy for the From domain (RFC 7489), and whether our
// mail has what it takes to pass it.
func (l lookup) dmarc(ctx context.Context, r *results, d Domain) {
	records, at, err := l.policy(ctx, d.From)
	if err != nil {
		r.reportDNS(at, err)
		return
	}
	switch len(records) {
	case 0:
		r.report(codeDMARCMissing, "There is no DMARC policy for %s, which some large receivers demand.", d.From)
		return
	case 1:
	default:
		r.report(codeDMARCSeveral, "There is more than one DMARC record at %s, so receivers use none of them (RFC 7489 §6.6.3).", at)
		return
	}
	tags, problem := parseDMARC(records[0])
	if problem != "" {
		r.report(codeDMARCSyntax, "The DMARC record at %s is not valid, so receivers ignore it: %s.", at, problem)
		return
	}
	policy := tags["p"]
	if sub, ok := tags["sp"]; ok && at != "_dmarc."+d.From {
		policy = strings.ToLower(sub)
	}
	if strings.EqualFold(policy, "none") {
		r.report(codeDMARCNone, "The DMARC policy at %s is none: forged mail is only reported.", at)
	}
	signed := d.DKIM != nil && aligned(d.DKIM.Domain, d.From, strings.EqualFold(tags["adkim"], "s"))
	if aligned(d.Envelope, d.From, strings.EqualFold(tags["aspf"], "s")) {
		return
	}
	if signed {
		r.report(codeEnvelopeMisaligned, "The envelope's domain %s does not count for mail from %s; our signature does.", d.Envelope, d.From)
		return
	}
	r.report(codeDMARCUnaligned, "Neither the envelope's domain %s nor a signature of ours counts for mail from %s, "+
		"so it passes DMARC only if the relay signs it.", d.Envelope, d.From)
}

// policy finds the records for a domain, which may be those of the domain that
// it belongs to (RFC 7489 §6.6.3).
func (l lookup) policy(ctx context.Context, domain string) (records []string, at string, err error) {
	for _, name := range slices.Compact([]string{domain, organisational(domain)}) {
		at = "_dmarc." + name
		all, err := l.txt(ctx, at)
		if err != nil {
			return nil, at, err
		}
		if records = starting(all, "v=dmarc"); len(records) > 0 {
			break
		}
	}
	return records, at, nil
}

// parseDMARC checks the tags that have a closed set of values (RFC 7489 §6.3).
func parseDMARC(record string) (tags map[string]string, problem string) {
	tags, ok := parseTags(record)
	version, _, _ := strings.Cut(record, ";")
	switch {
	case strings.Join(strings.Fields(version), "") != "v=DMARC1":
		return tags, `it must begin with "v=DMARC1;"`
	case !ok:
		return tags, "it is not a list of tags"
	case tags["p"] == "":
		return tags, "it has no p="
	}
	policies := []string{"none", "quarantine", "reject"}
	closed := map[string][]string{"p": policies, "sp": policies, "adkim": {"r", "s"}, "aspf": {"r", "s"}}
	for _, name := range []string{"p", "sp", "adkim", "aspf"} {
		value, given := tags[name]
		if given && !slices.Contains(closed[name], strings.ToLower(value)) {
			return tags, name + "=" + value + " is unknown"
		}
	}
	if value, given := tags["pct"]; given {
		if n, err := strconv.Atoi(value); err != nil || n < 0 || n > 100 {
			return tags, "pct=" + value + " is no percentage"
		}
	}
	return tags, ""
}
