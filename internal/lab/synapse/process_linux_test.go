// SPDX-License-Identifier: Apache-2.0

package synapse

import (
	"bufio"
	"errors"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"
)

// dieEnv names the directory for the process of TestDiesWithParent.
const dieEnv = "SYNAPSE_TEST_DIE_IN"

// TestDiesWithParent kills a process that runs a server, and waits for the
// end of a connection to that server.
func TestDiesWithParent(t *testing.T) {
	if dir := os.Getenv(dieEnv); dir != "" {
		s := start(t, Options{Dir: dir})
		os.Stdout.WriteString("URL " + s.URL() + "\n")
		runtime.GC() // would end idle threads, were the child's among them
		<-s.Done()
		return
	}
	realEnv(t)
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestDiesWithParent$")
	cmd.Env = append(os.Environ(), dieEnv+"="+t.TempDir())
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var url string
	for lines := bufio.NewScanner(out); url == "" && lines.Scan(); {
		url, _ = strings.CutPrefix(lines.Text(), "URL ")
		if !strings.HasPrefix(url, "http://") {
			url = ""
		}
	}
	if url == "" {
		_ = cmd.Wait()
		t.Fatal("the parent started no server")
	}
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if err := conn.SetReadDeadline(time.Now().Add(2 * time.Minute)); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Read(make([]byte, 1)); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal("synapse outlived its parent")
	}
	if resp, err := client.Get(url + "/_matrix/client/versions"); err == nil {
		resp.Body.Close()
		t.Errorf("synapse still answers: %d", resp.StatusCode)
	}
}
