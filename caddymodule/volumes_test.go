// SPDX-License-Identifier: Apache-2.0

package caddymodule_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/caddymodule/admin"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/fakehs"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/stack"
)

// TestAContainerWhoseKeyVolumeWasNotMounted: two volumes, of which one is not
// there one morning. Neither is touched, the process says what to do, and all is
// well when the volume is back. However the process of the evening has ended.
func TestAContainerWhoseKeyVolumeWasNotMounted(t *testing.T) {
	for name, killed := range map[string]bool{"stopped": false, "killed": true} {
		t.Run(name, func(t *testing.T) {
			_, upstream := homeserver(t, fakehs.Options{})
			s := newSite(t, upstream)
			config := strings.Replace(s.simple(), s.path("keys.json"), s.path("keys/keys.json"), 1)
			running := s.startChild(config)
			suppress := stack.Object{"medium": "email", "address": "bob@example.test"}
			if status, err := s.adminPost("suppressions/add", suppress, nil); err != nil || status != 200 {
				t.Fatalf("got %d, %v", status, err)
			}
			if killed {
				running.kill()
			} else {
				must(t, running.stdin.Close(), running.cmd.Wait())
			}

			must(t, os.Rename(s.path("keys"), s.path("elsewhere")), os.Mkdir(s.path("keys"), 0o700))
			v := &vault{t: t, keys: s.path("keys/keys.json"), data: s.path("store"), others: s.path("others")}
			must(t, os.Mkdir(v.others, 0o700))
			check := v.unchanged()
			said, err := v.child(childRun)
			if err == nil {
				t.Error("the server started without its keys")
			}
			for _, want := range []string{"key file is missing", v.keys, v.data, "backup", "mounted", "move the store"} {
				if !strings.Contains(said, want) {
					t.Errorf("got\n%s\nwant %q in it", said, want)
				}
			}
			check()

			must(t, os.Remove(s.path("keys")), os.Rename(s.path("elsewhere"), s.path("keys")))
			s.startChild(config)
			a, err := stack.NewClient(s.adminURL()).Do(t.Context(), "GET", admin.Base+"suppressions", "", nil)
			if err != nil || strings.Count(a.Body, "pseudonym") != 1 {
				t.Errorf("got %s (%v), want the suppression of the evening", a.Body, err)
			}
		})
	}
}

// TestAContainerWhoseStoreVolumeWasNotMounted: nobody can tell that from a first
// start with a key file that was made beforehand. So it starts, and says what may be
// missing.
func TestAContainerWhoseStoreVolumeWasNotMounted(t *testing.T) {
	v := newVault(t)
	must(t, os.MkdirAll(filepath.Dir(v.keys), 0o700), os.WriteFile(v.keys, []byte(oldKeyFile), 0o600))
	v.mustStart()
	if !v.logged(`"level":"warn"`, "the store is new, but the key file is not", "caddy threepid doctor") {
		t.Error("nothing was said of the store")
	}
}

// TestFirstStartSaysWhatToBackUp: with the key file, once.
func TestFirstStartSaysWhatToBackUp(t *testing.T) {
	v := newVault(t)
	v.mustStart()
	if !v.logged(`"level":"warn"`, "back it up", "worthless", v.keys) {
		t.Error("nothing was said of a backup")
	}
	v.stop()
	v.log = filepath.Join(v.others, "second.log")
	v.mustStart()
	if v.logged("back it up") || v.logged("the store is new") {
		t.Error("it was said again")
	}
}

// oldKeyFile is one of before the time of keys was noted.
const oldKeyFile = `{"version":1,"keys":[{"id":1,"secret":"MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="}]}`

// TestValidateLooksAtNoKeys: `caddy validate` works beside anything, and touches
// nothing.
func TestValidateLooksAtNoKeys(t *testing.T) {
	v := newVault(t)
	remember(t, v.mustStart())
	v.stop()
	must(t, os.Remove(v.keys))
	check := v.unchanged()
	if said, err := v.child(childValidate); err != nil {
		t.Errorf("got %v and\n%s", err, said)
	}
	check()
}
