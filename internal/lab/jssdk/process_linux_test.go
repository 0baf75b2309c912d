// SPDX-License-Identifier: Apache-2.0

package jssdk

import (
	"bufio"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// dieEnv names the homeserver for the process of TestDiesWithParent.
const dieEnv = "JSSDK_TEST_DIE_WITH"

// TestDiesWithParent kills a process that runs the SDK, and waits for the end
// of the request that the SDK has under way. The SDK is halted by then, so
// that it cannot leave by itself when its input ends.
func TestDiesWithParent(t *testing.T) {
	if url := os.Getenv(dieEnv); url != "" {
		s := start(t, Options{BaseURL: url})
		runtime.GC() // would end idle threads, were the child's among them
		fmt.Printf("PID %d\n", s.PID())
		_, _ = s.Call(t.Context(), "whoami") // is never answered
		return
	}
	realEnv(t)
	entered, gone := make(chan struct{}, 1), make(chan struct{}, 1)
	srv := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		entered <- struct{}{}
		<-r.Context().Done()
		gone <- struct{}{}
	})
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestDiesWithParent$")
	cmd.Env = append(os.Environ(), dieEnv+"="+srv.URL)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	pid := 0
	for lines := bufio.NewScanner(out); pid == 0 && lines.Scan(); {
		if _, err := fmt.Sscanf(strings.TrimSpace(lines.Text()), "PID %d", &pid); err != nil {
			continue // a line of the test runner's
		}
	}
	if pid == 0 {
		_ = cmd.Wait()
		t.Fatal("the parent started no SDK")
	}
	<-entered
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // killed
	select {
	case <-gone:
	case <-time.After(2 * time.Minute):
		_ = syscall.Kill(pid, syscall.SIGKILL)
		t.Fatal("the SDK outlived its parent")
	}
}
