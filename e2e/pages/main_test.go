// SPDX-License-Identifier: Apache-2.0

package pages

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/chromium"
)

var update = flag.Bool("update", false, "rewrite docs/pages")

// What all tests share; started is why there is no browser.
var (
	browser *chromium.Browser
	axe     string
	started error
)

// TestMain starts one browser for all tests.
func TestMain(m *testing.M) {
	flag.Parse()
	code := 1
	if err := start(); err == nil || (errors.Is(err, chromium.ErrUnavailable) && os.Getenv("CI") != "true") {
		started = err
		code = m.Run()
	} else {
		fmt.Fprintln(os.Stderr, "tests of the pages:", err)
	}
	if browser != nil {
		if err := browser.Close(); err != nil {
			fmt.Fprintln(os.Stderr, "close the browser:", err)
			code = 1
		}
	}
	os.Exit(code)
}

func start() error {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Minute)
	defer cancel()
	env, err := chromium.Install(ctx, func(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) })
	if err != nil {
		return err
	}
	if axe, err = chromium.Axe(ctx); err != nil {
		return err
	}
	browser, err = chromium.Start(ctx, env)
	return err
}

// tab opens an empty page, in a time that is enough for a whole test.
func tab(t *testing.T) (*chromium.Tab, context.Context) {
	t.Helper()
	if started != nil {
		t.Skip(started)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Minute)
	page, err := browser.NewTab(ctx)
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	t.Cleanup(func() {
		defer cancel()
		if err := page.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	return page, ctx
}

// must fails the test on any error.
func must(t *testing.T, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}
