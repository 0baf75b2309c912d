// SPDX-License-Identifier: Apache-2.0

package paths

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/handlers"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/synapse"
)

// install makes the real Synapse for all tests of the package.
var install = sync.OnceValues(func() (synapse.Env, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Minute)
	defer cancel()
	return synapse.Install(ctx, log.Printf)
})

// oracle is Synapse's router, in a Python of its own.
type oracle struct {
	in  io.WriteCloser
	out *bufio.Reader
}

// newOracle starts it. A machine that cannot have Synapse skips, and on CI that
// is a failure.
func newOracle(tb testing.TB) *oracle {
	tb.Helper()
	env, err := install()
	switch {
	case errors.Is(err, synapse.ErrUnavailable) && os.Getenv("CI") != "true":
		tb.Skipf("NOT COMPARED WITH A REAL SYNAPSE: %v", err)
	case err != nil:
		tb.Fatalf("install Synapse: %v", err)
	}
	cmd := exec.Command(env.Python, "-B", "router.py")
	cmd.Env = env.Environ()
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		tb.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	o := &oracle{in, bufio.NewReader(out)}
	tb.Cleanup(func() {
		_ = in.Close() // it ends when there is nothing more to read
		if err := cmd.Wait(); err != nil {
			tb.Errorf("router.py: %v", err)
		}
	})
	if got := o.line(tb); got != "ready" {
		tb.Fatalf("router.py says %q, want ready", got)
	}
	return o
}

func (o *oracle) line(tb testing.TB) string {
	tb.Helper()
	line, err := o.out.ReadString('\n')
	if err != nil {
		tb.Fatalf("router.py: %v", err)
	}
	return strings.TrimSuffix(line, "\n")
}

// ask returns the expressions in Synapse's table that a target leads to.
func (o *oracle) ask(tb testing.TB, sent string) []string {
	tb.Helper()
	if _, err := io.WriteString(o.in, sent+"\n"); err != nil {
		tb.Fatalf("router.py: %v", err)
	}
	return strings.FieldsFunc(o.line(tb), func(r rune) bool { return r == '\t' })
}

// owned reports whether an expression stands for a path of ours. Those that do
// are plain paths between anchors.
func owned(cfg handlers.Config, expression string) bool {
	plain := strings.TrimSuffix(strings.TrimPrefix(expression, "^"), "$")
	r, ok := parse(plain)
	return ok && !strings.ContainsAny(plain, `()[]*+?\`) && strings.HasSuffix(expression, "$") && handlers.Ours(cfg, r.URL)
}

// mustNotReach: what we pass on reaches no servlet that a path of ours reaches.
func (o *oracle) mustNotReach(tb testing.TB, cfg handlers.Config, target string) (wasPassed bool) {
	tb.Helper()
	_, sent, ok := passed(cfg, target)
	if !ok || strings.ContainsAny(sent, "\r\n") {
		return false
	}
	for _, expression := range o.ask(tb, sent) {
		if owned(cfg, expression) {
			tb.Errorf("%q is passed on as %q, and Synapse takes it for %s", target, sent, expression)
		}
	}
	return true
}

func TestSynapseTakesNothingForOursThatWePassOn(t *testing.T) {
	o, cfg := newOracle(t), router()
	reached := map[string]bool{}
	for _, own := range canonical() {
		for _, expression := range o.ask(t, own) {
			if !owned(cfg, expression) {
				t.Errorf("%q reaches %s, which is not seen to be ours", own, expression)
			}
			reached[expression] = true
		}
	}
	// Eleven of these paths are in two versions, and /versions is in none.
	if got, want := len(reached), 2*11+1; got != want {
		t.Errorf("paths of ours reach %d expressions, want %d: %v", got, want, reached)
	}
	all, passedOn, known := canonical(), 0, 0
	rnd := rand.New(rand.NewPCG(3, 4))
	for _, seed := range seeds() {
		if o.mustNotReach(t, cfg, seed) {
			_, sent, _ := passed(cfg, seed)
			known += min(1, len(o.ask(t, sent)))
		}
	}
	for range 10_000 {
		target := misspell(rnd, all[rnd.IntN(len(all))])
		if o.mustNotReach(t, cfg, target) {
			passedOn++
		}
	}
	if passedOn < 500 || known < 3 {
		t.Errorf("%d paths were passed on, and Synapse knows %d of the seeds: this compares too little", passedOn, known)
	}
}

// FuzzSynapsePaths is the same for paths that the fuzzer finds.
func FuzzSynapsePaths(f *testing.F) {
	for _, seed := range seeds() {
		f.Add(seed)
	}
	o, cfg := newOracle(f), router()
	f.Fuzz(func(t *testing.T, target string) {
		if !strings.ContainsAny(target, "\r\n\x00") {
			o.mustNotReach(t, cfg, target)
		}
	})
}
