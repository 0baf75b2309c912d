// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// codesHead is what stands above the table in docs/codes.md.
const codesHead = `# Codes of doctor and status

` + "`caddy threepid doctor --json` and `caddy threepid status --json`" + ` name what they find by these codes. A code keeps its meaning and its severity, so that scripts
can go by it; ` + "`net`" + ` stands for the checks relay, public_url, homeserver.* and identity.certificate. doctor exits with 0 if nothing is worse than info, 1 for warnings, 2 for errors; status has
the codes of the check wiring alone. Generated from the package comment of ` + "`internal/doctor`" + ` by ` + "`make golden`" + `; do not edit.

| code | severity | checks | meaning |
|---|---|---|---|
`

// codesPage is docs/codes.md as the package comment has it.
func codesPage(t *testing.T) string {
	t.Helper()
	raw, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	page := codesHead
	for line := range strings.Lines(string(raw)) {
		cells, isRow := strings.CutPrefix(line, "//\t")
		c := strings.Split(cells, "|")
		if !isRow || len(c) != 4 || strings.TrimSpace(c[0]) == "code" {
			continue
		}
		for i := range c {
			c[i] = strings.Join(strings.Fields(c[i]), " ")
		}
		page += "| `" + c[0] + "` | " + strings.Join(c[1:], " | ") + " |\n"
	}
	return page
}

// TestCodesAreDocumented: what scripts go by is in the documents, and the same.
func TestCodesAreDocumented(t *testing.T) {
	file := filepath.Join("..", "..", "docs", "codes.md")
	want := codesPage(t)
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(file)
	if err != nil || string(got) != want {
		t.Errorf("docs/codes.md is not what the package comment says (%v); run make golden", err)
	}
	if rows, table := strings.Count(want, "\n| `"), len(codeTable(t)); rows != table {
		t.Errorf("got %d rows, want %d", rows, table)
	}
}
