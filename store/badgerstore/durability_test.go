// SPDX-License-Identifier: Apache-2.0

package badgerstore

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/store"
)

// killedDirEnv turns the test binary into the process that is killed.
const killedDirEnv = "BADGERSTORE_KILLED_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(killedDirEnv); dir != "" {
		fmt.Fprintln(os.Stderr, writeUntilKilled(dir))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// writeUntilKilled writes from many goroutines and prints every key that has
// been acknowledged. All of an update's writes are told by one of them.
func writeUntilKilled(dir string) error {
	s, err := Open(Options{Dir: dir})
	if err != nil {
		return err
	}
	var out sync.Mutex
	failed := make(chan error)
	for w := range 16 {
		go func() {
			for n := 0; ; n++ {
				p := store.Partition(fmt.Sprintf("%d-%d-%d", os.Getpid(), w, n))
				err := s.Update(context.Background(), p, func(tx store.Txn) error {
					return errors.Join(
						tx.Set("session", []byte("of "+p), time.Now().Add(time.Hour)),
						tx.Set("message", []byte("for "+p), time.Time{}))
				})
				if err != nil {
					failed <- err
					return
				}
				out.Lock()
				fmt.Println(p)
				out.Unlock()
			}
		}()
	}
	return <-failed
}

// TestSurvivesKill kills a writing process again and again, and finds all that
// was acknowledged.
func TestSurvivesKill(t *testing.T) {
	t.Parallel() // it waits, most of the time
	dir := t.TempDir()
	var acknowledged []store.Partition
	for round := range 3 {
		acknowledged = append(acknowledged, killDuringWrites(t, dir, 2000)...)
		s, err := Open(Options{Dir: dir})
		if err != nil {
			t.Fatalf("after kill %d: %v", round+1, err)
		}
		lost := 0
		for _, p := range acknowledged {
			session, err1 := lookup(s, p, "session")
			message, err2 := lookup(s, p, "message")
			if session != "of "+string(p) || message != "for "+string(p) {
				lost++
				t.Logf("%s: %q, %v; %q, %v", p, session, err1, message, err2)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if lost > 0 {
			t.Fatalf("after kill %d, %d of %d acknowledged updates are lost", round+1, lost, len(acknowledged))
		}
	}
}

// killDuringWrites returns what a process had acknowledged when it died by
// SIGKILL, which it does after so many acknowledgements or a few more.
func killDuringWrites(t *testing.T, dir string, after int) (acknowledged []store.Partition) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), killedDirEnv+"="+dir)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(stdout)
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			break // a line without its end was not acknowledged
		}
		acknowledged = append(acknowledged, store.Partition(strings.TrimSpace(line)))
		if len(acknowledged) == after {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := cmd.Wait(); err == nil || cmd.ProcessState.Exited() || len(acknowledged) < after {
		t.Fatalf("writer ended by %v after %d acknowledgements, want killed after %d\n%s",
			err, len(acknowledged), after, stderr.String())
	}
	return acknowledged
}
