// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/stack"
)

// smallDisk mounts a disk of some MiB at a folder.
func smallDisk(t *testing.T, folder, size string) {
	t.Helper()
	if err := os.MkdirAll(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	err := syscall.Mount("tmpfs", folder, "tmpfs", 0, "size="+size+",mode=0700")
	switch {
	case errors.Is(err, syscall.EPERM) && os.Getenv("CI") != "true":
		t.Skip("NOT PROVED ON A FULL DISK: to mount one takes root")
	case err != nil:
		t.Fatalf("mount: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(folder, syscall.MNT_DETACH); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
}

// fill leaves not more than some bytes free, and returns how to make room again.
func fill(t *testing.T, folder string, leave int64) (room func()) {
	t.Helper()
	path := filepath.Join(folder, "somebody-else's")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	block := make([]byte, 1<<20)
	for size := len(block); size >= 1; {
		var st syscall.Statfs_t
		if err := syscall.Statfs(folder, &st); err != nil {
			t.Fatal(err)
		}
		if int64(st.Bavail)*st.Bsize <= leave {
			break
		}
		if _, err := f.Write(block[:size]); err != nil {
			size /= 2 // the last corners, too
		}
	}
	return func() {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
}

// TestFullDisk fills the disk of the store, once up to the reserve and once to
// the last byte, at every stage of a session's life.
func TestFullDisk(t *testing.T) {
	for name, leave := range map[string]int64{"reserve": 30 << 20, "last byte": 0} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			disk := filepath.Join(dir, "caddy", "data", "caddy", "threepid", "store")
			smallDisk(t, disk, "200m")
			w := newWorld(t, dir)
			w.goodUser("before")
			pending, pendingLink := w.mustOpen("p", "pending@example.test")
			proven, provenLink := w.mustOpen("c", "proven@example.test")
			if _, confirmed := w.click(provenLink); confirmed.Status != http.StatusOK {
				t.Fatalf("got %d %s", confirmed.Status, confirmed.Body)
			}

			room := fill(t, disk, leave)
			wantHonest(t, "requestToken", w.open("n", "new@example.test"))
			page, confirmed := w.click(pendingLink)
			if page.Status != http.StatusOK {
				t.Errorf("reading takes no room: got %d %s", page.Status, page.Body)
			}
			wantHonest(t, "the button", confirmed)
			wantHonest(t, "register", w.register("proven", proven, "c"))
			if a := w.register("pending", pending, "p"); a.Status == http.StatusOK {
				t.Errorf("somebody has registered with what was not confirmed: %s", a.Body)
			}
			submit := w.post("/_threepid/validate/email/submitToken", "", stack.Object{"sid": pending, "client_secret": "p", "token": "wrong"})
			if submit.Status < 400 {
				t.Errorf("a wrong token: got %d %s", submit.Status, submit.Body)
			}
			if a, err := w.client.Do(t.Context(), http.MethodGet, "/_matrix/client/versions", "", nil); err != nil || a.Status != http.StatusOK {
				t.Errorf("what is not ours has to go on: got %d, %v", a.Status, err)
			}

			room()
			eventually(t, "requestToken", func() bool { return w.open("n", "new@example.test").Status == http.StatusOK })
			if a := w.register("proven", proven, "c"); a.Status != http.StatusOK {
				t.Errorf("the session that was confirmed is lost: got %d %s", a.Status, a.Body)
			}
			if a := w.register("pending", pending, "p"); a.Status == http.StatusOK {
				t.Errorf("the session that was not confirmed is good: %s", a.Body)
			}
			if _, confirmed := w.click(pendingLink); confirmed.Status != http.StatusOK {
				t.Errorf("the link of a session from before: got %d %s", confirmed.Status, confirmed.Body)
			}
			if a := w.register("pending", pending, "p"); a.Status != http.StatusOK {
				t.Errorf("after it was confirmed: got %d %s", a.Status, a.Body)
			}
			w.goodUser("after")
			if logs := w.Caddy.Logs(); !strings.Contains(logs, "no space left") {
				t.Error("the log does not tell the operator why")
			}
		})
	}
}
