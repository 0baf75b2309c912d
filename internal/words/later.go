// SPDX-License-Identifier: Apache-2.0

package words

import "strings"

// Some words came when there were languages of operators already, and those need
// not have them: a client is told in English then, a link stands for itself, and a box
// without words is left out.

// wordsCodePage is for those whose app has no field for the code of a mail.
const wordsCodePage = "code page"

// wordsFormer are said no more. Files of operators may have them still.
const wordsFormer = "page refuse link"

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
