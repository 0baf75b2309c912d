// SPDX-License-Identifier: Apache-2.0

package synapse

import (
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// TestEverythingIsPinned keeps a range, or a digest that got lost, out of the
// requirements: with one, next year's installation is another one.
func TestEverythingIsPinned(t *testing.T) {
	for name, pattern := range map[string]string{
		"newest/requirements.txt": `^[A-Za-z0-9._-]+==[0-9.]+(; python_version < "3\.\d+")?$`,
		"requirements.txt":        `^[A-Za-z0-9._-]+==[0-9.]+(; python_version (<|>=) "3\.\d+")?$`,
		"sources.txt":             `^[A-Za-z0-9._-]+==[0-9.]+ --hash=sha256:[0-9a-f]{64}$`,
	} {
		content, err := data.ReadFile("data/" + name)
		if err != nil {
			t.Fatal(err)
		}
		pinned, count := regexp.MustCompile(pattern), 0
		for line := range strings.Lines(string(content)) {
			line = strings.TrimRight(line, "\n")
			if line == "" || strings.HasPrefix(line, "#") {
				continue
			}
			count++
			if !pinned.MatchString(line) {
				t.Errorf("%s: %q is not pinned", name, line)
			}
		}
		if count < 2 {
			t.Errorf("%s: got %d requirements", name, count)
		}
	}
}

// TestInstalledAsPublished proves the claim of the package comment: Synapse
// does not load without the shims, and the shims are all it takes.
func TestInstalledAsPublished(t *testing.T) {
	env := realEnv(t)
	check := func(code string, extra ...string) (string, error) {
		cmd := exec.CommandContext(t.Context(), env.Python, "-c", code)
		cmd.Env = append(env.Environ(), extra...)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	const noShims = "PYTHONPATH="
	if out, err := check(recipe().Check); err != nil {
		t.Errorf("with the shims: %v\n%s", err, out)
	}
	minor, err := check("import sys; print(sys.version_info[1])")
	if err != nil {
		t.Fatal(err)
	}
	out, err := check(recipe().Check, noShims)
	if needed := strings.TrimSpace(minor) != "9" && strings.TrimSpace(minor) != "10"; needed != (err != nil) {
		t.Errorf("without the shims on Python 3.%s: got error %v\n%s", minor, err, out)
	}
	// Every installed file against the digests of the wheel's RECORD.
	const verify = `
import base64, hashlib, importlib.metadata as m
files = [f for f in m.files("matrix-synapse") if f.hash and str(f).startswith("synapse/")]
bad = [str(f) for f in files if base64.urlsafe_b64encode(
    hashlib.new(f.hash.mode, f.locate().read_bytes()).digest()).rstrip(b"=").decode() != f.hash.value]
print(len(files), bad, m.version("matrix-synapse"))`
	out, err = check(verify)
	if err != nil || !regexp.MustCompile(`^\d{3,} \[\] 1\.3\.1\n$`).MatchString(out) {
		t.Errorf("installed files: got %q, %v; want hundreds and none changed", out, err)
	}
}
