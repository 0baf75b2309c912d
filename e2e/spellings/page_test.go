// SPDX-License-Identifier: Apache-2.0

package spellings

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs/spellings.md anew")

const head = `# Spellings

Each way to type an address, each way in which an account of before may have it, and what comes of it for the reader of the mailbox
that was typed, who knows the account's password: a second account, a log-in by the address, a new password, the address taken away.
Found in front of a real Synapse 1.3.1 with ` + "`checks callback` and `checks off`" + `, and written by
` + "`go test ./e2e/spellings -update`" + `. What could not be seen, or told from something else, is written with its code point. The rule is in ADR 28.

| typed | stored | one mailbox | register | log in | reset | delete |
|---|---|---|---|---|---|---|
`

func render(table []row) string {
	var b strings.Builder
	b.WriteString(head)
	for _, r := range table {
		one := "no"
		if r.same {
			one = "yes"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %s |\n", visible(r.typed), visible(r.stored), one, r.register, r.logIn, r.reset, r.remove)
	}
	return b.String()
}

// visible shows what a reader could not tell from something else, or not see.
func visible(s string) string {
	var b strings.Builder
	for _, r := range strings.Replace(s, "%", "", 1) {
		if r <= ' ' || r == 0xa0 || r >= 0x300 && r < 0x370 || r > 0x2000 && r < 0x2200 || r > 0xff00 {
			fmt.Fprintf(&b, "{%04X}", r)
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

func compare(t *testing.T, got string) {
	t.Helper()
	path := filepath.Join("..", "..", "docs", "spellings.md")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	there := strings.Split(string(want), "\n")
	for line := range strings.SplitSeq(got, "\n") {
		if !slices.Contains(there, line) {
			t.Errorf("docs/spellings.md has not the line %s", line)
		}
	}
	if strings.Count(got, "\n") != len(there)-1 {
		t.Error("docs/spellings.md has lines of its own")
	}
}
