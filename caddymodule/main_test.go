// SPDX-License-Identifier: Apache-2.0

package caddymodule_test

import (
	"bufio"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	goruntime "runtime"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	// The tests run what users run: the app with all its guests.
	_ "github.com/caddy-threepid/caddy-threepid"
)

// These environment variables turn this program into a Caddy that runs, or
// validates, the Caddyfile that they name.
const (
	childRun      = "THREEPID_TEST_RUN"
	childValidate = "THREEPID_TEST_VALIDATE"
	childCommand  = "THREEPID_TEST_COMMAND" // `caddy` with these words, and then the arguments of the program
)

// ownEnvironment is that of whoever runs the tests.
var ownEnvironment = os.Environ()

// testHome holds everything that Caddy writes during the tests.
var testHome string

func TestMain(m *testing.M) {
	if path := os.Getenv(childRun); path != "" {
		os.Exit(runChild(path, func(raw []byte) error { return caddy.Load(raw, true) }))
	}
	if path := os.Getenv(childValidate); path != "" {
		os.Exit(runChild(path, validate))
	}
	if words := os.Getenv(childCommand); words != "" {
		os.Args = append(strings.Fields(words), os.Args[1:]...)
		caddycmd.Main()
		os.Exit(0)
	}
	code, err := runTests(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func runTests(m *testing.M) (code int, err error) {
	// Its own TLS storage does not follow the environment, see storageDir.
	if testHome, err = os.MkdirTemp("", "threepid-caddy-"); err != nil {
		return 1, err
	}
	defer os.RemoveAll(testHome)
	for _, name := range []string{"XDG_DATA_HOME", "XDG_CONFIG_HOME", "HOME"} {
		if err := os.Setenv(name, testHome); err != nil {
			return 1, err
		}
	}
	// A program that is watched for races sleeps for a second before it ends well. The
	// commands that tests run have no need of that.
	if err := os.Setenv("GORACE", os.Getenv("GORACE")+" atexit_sleep_ms=0"); err != nil {
		return 1, err
	}
	// A reload closes idle connections, and a POST on one that is just being
	// closed is not repeated by the client.
	http.DefaultTransport.(*http.Transport).DisableKeepAlives = true
	code = m.Run()
	if err := caddy.Stop(); err != nil {
		return 1, fmt.Errorf("stop caddy: %w", err)
	}
	return code, nil
}

// runChild is a Caddy that lives until its parent closes the pipe, or kills it.
// Every line on the pipe is the name of a file to dump its heap into.
func runChild(path string, run func(config []byte) error) int {
	raw, err := os.ReadFile(path)
	if err == nil {
		raw, err = adapt(string(raw))
	}
	if err == nil {
		err = run(raw)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println("ready")
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); { // until the parent is gone
		if err := dumpHeap(lines.Text()); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		fmt.Println("dumped")
	}
	if err := caddy.Stop(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// dumpHeap writes everything that is alive: objects, stacks, variables.
func dumpHeap(name string) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	// A pool keeps what was returned to it for two collections more; a third
	// collects what the second has finalized.
	for range 4 {
		goruntime.GC()
	}
	debug.WriteHeapDump(f.Fd())
	return f.Close()
}

// storageDir is where Caddy keeps its certificate authority. All tests share
// it: Caddy computes its default before TestMain can change the environment,
// and making an authority takes time.
func storageDir() string { return filepath.Join(testHome, "storage") }

// rootCert is the certificate of that authority.
func rootCert() string {
	return filepath.Join(storageDir(), "pki", "authorities", "local", "root.crt")
}
