// SPDX-License-Identifier: Apache-2.0

package words

import (
	"regexp"
	"strings"
	"testing"
)

// TestWordsOfAFormerVersion: a language of the operator's own need not have what came
// later, and may have what is said no more.
func TestWordsOfAFormerVersion(t *testing.T) {
	now := strings.Replace(ours(t, "en/words.txt"), "English", "Svenska", 1)
	old := regexp.MustCompile(`(?s){{define "page sms refuse everybody"}}.*?{{end}}`).ReplaceAllString(now, "")
	old = strings.Replace(old, `"page refuse everybody"`, `"page refuse link"`, 1)
	words := loaded(t, folder("sv/words.txt", old)).Words("sv")
	for _, key := range []string{"page refuse everybody", "page sms refuse everybody"} {
		if got, err := words.Text(key, PageData{}); got != "" || err != nil {
			t.Errorf("%s: got %q, %v", key, got, err)
		}
	}
}
