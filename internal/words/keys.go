// SPDX-License-Identifier: Apache-2.0

package words

import (
	"strings"
)

// value is what a text can name, as {{.Server}}; a set of them is an or.
type value uint16

const (
	valueServer value = 1 << iota
	valueLife
	valueUntil
	valueN
	valueAddress
	valueCode
	valueMade
	valueApp
	valueNetwork
)

// valueNames are the names by which texts know them.
var valueNames = map[string]value{
	"Server": valueServer, "Life": valueLife, "Until": valueUntil, "N": valueN,
	"Address": valueAddress, "Code": valueCode, "Made": valueMade, "App": valueApp, "Network": valueNetwork,
}

// rule says what a text may and must name.
type rule struct {
	may  value
	must value
	// either must be named in part.
	either value
	// optional texts need not be there.
	optional bool
	// line is for a text that becomes a header field.
	line bool
	// colour is for #rrggbb.
	colour bool
}

// purposes are the words for them in keys; a purpose is its own word.
var purposes = []string{"register", "password", "add"}

// forms are the plural categories of CLDR, and units what is counted.
var (
	forms = []string{"zero", "one", "two", "few", "many", "other"}
	units = []string{"minutes", "hours"}
)

// wordRules are the texts of a language. A key that is not here is a typo.
var wordRules = makeWordRules()

func makeWordRules() map[string]rule {
	rules := map[string]rule{"name": {}, "dir": {}, "reviewed": {}}
	for _, unit := range units {
		for _, form := range forms {
			// Which of them a language has, and must have, is in plural.go.
			rules["life "+unit+" "+form] = rule{may: valueN, optional: true}
		}
	}
	for _, p := range purposes {
		rules[p+" subject"] = rule{may: valueServer, line: true}
		rules[p+" title"] = rule{may: valueServer}
		rules[p+" asked"] = rule{may: valueServer, must: valueServer}
		rules[p+" effect"] = rule{may: valueServer}
		rules[p+" sms"] = rule{may: valueServer | valueCode, must: valueServer | valueCode}
		rules[p+notice+" subject"] = rule{may: valueServer, line: true}
		rules[p+notice+" title"] = rule{may: valueServer}
		rules[p+notice+" effect"] = rule{may: valueServer}
		rules[p+notice+" sms"] = rule{may: valueServer, must: valueServer}
	}
	for _, key := range []string{"link do", "link button", "link copy", "code do", "code keep", "refuse ignore", "refuse do", "refuse button"} {
		rules[key] = rule{may: valueServer}
	}
	rules["link check"] = rule{may: valueServer | valueCode, must: valueCode}
	until := rule{may: valueServer | valueLife | valueUntil, either: valueLife | valueUntil}
	rules["link until"], rules["code until"] = until, until
	for _, key := range PageKeys() {
		rules[key] = rule{may: valueServer}
	}
	// A page shows an address only to a reader who has proven to know it, and
	// on a line of its own.
	address := rule{may: valueAddress, must: valueAddress}
	rules["page address"], rules["page sms address"] = address, address
	rules["page busy title"] = rule{may: valueServer, optional: true} // it came later
	rules["page busy what"] = rule{may: valueServer | valueLife, must: valueLife, optional: true}
	rules[wordsCodePage] = rule{may: valueServer, optional: true}
	addLater(rules)
	addOrigins(rules)
	addChanges(rules)
	return rules
}

// pageKeys are the parts of each page.
var pageKeys = []struct{ page, parts string }{
	{"confirm", "register title|register what|password title|password what|add title|add what|button|ignore"},
	{"code", "label|hint|wrong|again"},
	{"again", "title|what"},
	{"done", "title|what"},
	{"already", "title|what"},
	{"next", "button"},
	{"expired", "title|what"},
	{"revoked", "title|what"},
	{"invalid", "title|what"},
	{"error", "title|what"},
	{"busy", "title|what"},
	{"refuse", "title|what|everybody|button|keep"},
	{"refused", "title|what"},
	{"request", "made|app|network|other"},
	{"help", "link|title|spam|typo|wait|again|admin"},
	{"delivery", "waiting|delayed|sent|bounced|address|failed|suspended|none"},
	// What clients show of a refusal; see addLater.
	{"client", "limit|busy|email|number|denied|barred|closed|begin|unsupported|setup|unconfirmed|password"},
	// What the pages say otherwise where the message went to a phone.
	{"sms", "address|confirm add title|confirm add what|code again|again what|invalid title|invalid what|refuse everybody|refuse what|refused what"},
	{"sms help", "link|title|signal|typo|wait"},
	{"sms delivery", "waiting|delayed|sent|arrived|bounced|address|failed|suspended|none"},
}

// PageKeys returns the keys of the words of pages. Every language has them all.
func PageKeys() []string {
	keys := []string{"page address"}
	for _, p := range pageKeys {
		for part := range strings.SplitSeq(p.parts, "|") {
			keys = append(keys, "page "+p.page+" "+part)
		}
	}
	return keys
}

// wordsCodePage is for those whose app has no field for the code of a mail.
const wordsCodePage = "code page"

// wordsFormer are said no more. Files of operators may have them still.
const wordsFormer = "page refuse link"

// addLater is for words that came when there were languages of operators already, and
// those need not have them: a client is told in English then, and a link stands for itself. A
// box without words is left out.
func addLater(rules map[string]rule) {
	for key, r := range rules {
		if isLater(key) {
			r.optional = true
			rules[key] = r
		}
	}
	for _, key := range []string{"page client limit", "page client busy"} {
		rules[key] = rule{may: valueServer | valueLife, must: valueLife, optional: true}
	}
	rules[wordsFormer] = rule{may: valueServer, optional: true}
}

func isLater(key string) bool {
	return strings.HasPrefix(key, "page client ") || strings.HasPrefix(key, "page next ") || strings.HasSuffix(key, " refuse everybody")
}
