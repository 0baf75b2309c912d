// SPDX-License-Identifier: Apache-2.0

package address

import "strings"

// dotless are the domains whose mailboxes are the same with and without dots,
// and the domain that their mailboxes are counted under.
var dotless = map[string]string{"gmail.com": "gmail.com", "googlemail.com": "gmail.com"}

// AbuseKey is what the limits count a canonical address under: the spellings
// that one mailbox is known to have, with tags ("+tag"), with dots and with case
// folded in full, count as one. It is for counting only. Mail goes to the address itself, and so does
// the proof: at some servers a tag names another person's mailbox.
func AbuseKey(canonical string) string {
	local, domain, found := strings.Cut(foldCase(canonical), "@")
	if !found {
		return canonical
	}
	if plain, _, _ := strings.Cut(local, "+"); plain != "" {
		local = plain
	}
	if same, ok := dotless[domain]; ok {
		local, domain = strings.ReplaceAll(local, ".", ""), same
	}
	return local + "@" + domain
}
