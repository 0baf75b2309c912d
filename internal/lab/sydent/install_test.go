// SPDX-License-Identifier: Apache-2.0

package sydent

import (
	"io/fs"
	"regexp"
	"strings"
	"testing"
)

// TestEverythingIsPinned keeps a range, or a digest that got lost, out of the
// requirements: with one, next year's installation is another one.
func TestEverythingIsPinned(t *testing.T) {
	for _, tc := range []struct {
		name, pattern string
		least         int
	}{
		{"requirements.txt", `^[A-Za-z0-9._-]+==[0-9.]+(; python_version (<|>=) "3\.\d+")?$`, 20},
		{"sources.txt", `^(--only-binary :all:|matrix-sydent==2\.6\.1 --hash=sha256:[0-9a-f]{64})$`, 2},
	} {
		content, err := fs.ReadFile(recipe().Data, tc.name)
		if err != nil {
			t.Fatal(err)
		}
		pinned, count := regexp.MustCompile(tc.pattern), 0
		for line := range strings.Lines(string(content)) {
			line = strings.TrimRight(line, "\n")
			if line == "" || strings.HasPrefix(line, "#") {
				continue
			}
			count++
			if !pinned.MatchString(line) {
				t.Errorf("%s: %q is not pinned", tc.name, line)
			}
		}
		if count < tc.least {
			t.Errorf("%s: got %d requirements, want %d or more", tc.name, count, tc.least)
		}
	}
}

// TestInstalledAsPublished holds every installed file against the digests of
// the wheel.
func TestInstalledAsPublished(t *testing.T) {
	env := realEnvs(t)
	const verify = `
import base64, hashlib, importlib.metadata as m
files = [f for f in m.files("matrix-sydent") if f.hash and str(f).startswith("sydent/")]
bad = [str(f) for f in files if base64.urlsafe_b64encode(
    hashlib.new(f.hash.mode, f.locate().read_bytes()).digest()).rstrip(b"=").decode() != f.hash.value]
print(len(files), bad, m.version("matrix-sydent"))`
	out, err := env.Output(t.Context(), "-c", verify)
	if err != nil || !regexp.MustCompile(`^\d{2,} \[\] 2\.6\.1\n$`).MatchString(out) {
		t.Errorf("installed files: got %q, %v; want dozens and none changed", out, err)
	}
}
