// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"strings"
	"testing"
)

// FuzzRecords reads what may stand in the DNS of a domain: SPF and DMARC.
func FuzzRecords(f *testing.F) {
	for _, seed := range []string{
		"v=spf1 -all", "v=spf1 ip4:192.0.2.0/24 ip6:2001:db8::/32 a mx/24//64 include:example.org ~all", "v=spf1 redirect=example.org", "v=spf1 a:%{i}.x.example -all",
		"v=spf1 redirect= redirect=x", "v=spf1 + - ?", "v=spf1 ip4:", "v=spf1 a/33", "v=spf1 mx:a/0//0 exp=x", "v=spf1  \t\u00a0all", "v=spf1 ip6:::ffff:1.2.3.4", "",
		"v=DMARC1; p=none", "v=DMARC1;p=reject;sp=quarantine;adkim=s;aspf=r;pct=50;rua=mailto:a@b", "v=DMARC1", "v=DMARC1; p", "v=DMARC1; =;;", "V=dmarc1; P=NONE",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if record, err := parseSPF(text); err == nil {
			for _, term := range record.terms {
				if !strings.ContainsRune("+-~?", rune(term.qualifier)) || term.v4 < 0 || term.v4 > 32 || term.v6 < 0 || term.v6 > 128 {
					t.Errorf("%q has the term %+v", text, term)
				}
				if strings.HasPrefix(term.name, "ip") && !term.net.IsValid() {
					t.Errorf("%q has the network %v", text, term.net)
				}
			}
			_ = record.includesForeign("example.org")
		}
		tags, problem := parseDMARC(text)
		if problem == "" && tags["p"] == "" {
			t.Errorf("%q is taken for a policy: %v", text, tags)
		}
	})
}
