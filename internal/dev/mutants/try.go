// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// verdict is what became of a mutant.
type verdict int

const (
	survived verdict = iota
	noticed
	unfit // it does not compile
)

// trial runs the tests of one package over planted files.
type trial struct {
	dir, pkg, tags string
	// beside are packages whose tests go through it as well.
	beside []string
	// limit is for one run, by the time that one without a fault takes: a mutant that
	// never ends is noticed.
	limit time.Duration
}

// green runs the tests without a fault, which they must pass.
func (t *trial) green(ctx context.Context) error {
	none := filepath.Join(t.dir, "none.json")
	if err := os.WriteFile(none, []byte("{}"), 0o600); err != nil {
		return err
	}
	began := time.Now()
	t.limit = time.Hour
	v, err := t.test(ctx, none, filepath.Join(t.dir, "none.test"))
	if err == nil && v != survived {
		err = errors.New("the tests fail without a fault")
	}
	t.limit = 10*time.Second + 4*time.Since(began)
	return err
}

// run plants one fault. The number keeps trials that run side by side apart.
func (t *trial) run(ctx context.Context, number string, m mutant) (verdict, error) {
	source, err := os.ReadFile(m.file)
	if err != nil {
		return 0, err
	}
	planted := filepath.Join(t.dir, number+".go")
	overlay := filepath.Join(t.dir, number+".json")
	original, err := filepath.Abs(m.file)
	if err != nil {
		return 0, err
	}
	shown, err := json.Marshal(map[string]map[string]string{"Replace": {original: planted}})
	if err != nil {
		return 0, err
	}
	err = errors.Join(
		os.WriteFile(planted, m.apply(source), 0o600), //nolint:gosec // G703: in a directory of our own
		os.WriteFile(overlay, shown, 0o600),
	)
	if err != nil {
		return 0, err
	}
	return t.test(ctx, overlay, filepath.Join(t.dir, number+".test"))
}

// test runs all the tests, until some notice.
func (t *trial) test(ctx context.Context, overlay, binary string) (verdict, error) {
	for _, pkg := range append([]string{t.pkg}, t.beside...) {
		if v, err := t.testOf(ctx, pkg, overlay, binary); err != nil || v != survived {
			return v, err
		}
	}
	return survived, nil
}

// testOf builds the tests of a package, and runs them if that could be done and if there
// are any.
func (t *trial) testOf(ctx context.Context, pkg, overlay, binary string) (verdict, error) {
	build := exec.CommandContext(ctx, "go", "test", "-c", "-vet=off", "-tags", t.tags, "-overlay", overlay, "-o", binary, pkg)
	if out, err := build.CombinedOutput(); err != nil {
		if ctx.Err() != nil || !strings.Contains(string(out), ".go:") {
			return 0, errors.Join(ctx.Err(), err, errors.New(string(out)))
		}
		return unfit, nil
	}
	if _, err := os.Stat(binary); errors.Is(err, os.ErrNotExist) {
		return survived, nil
	}
	defer os.Remove(binary)
	limited, cancel := context.WithTimeout(ctx, t.limit)
	defer cancel()
	tests := exec.CommandContext(limited, binary, "-test.failfast", "-test.short")
	tests.Dir = pkg
	tests.WaitDelay = time.Second
	err := tests.Run()
	switch {
	case ctx.Err() != nil:
		return 0, ctx.Err()
	case err != nil:
		return noticed, nil
	}
	return survived, nil
}
