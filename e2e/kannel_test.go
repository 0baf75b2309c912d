// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"errors"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/kannel"
)

// startKannel starts a real Kannel with its test SMSC.
func startKannel(t *testing.T) *kannel.Server {
	t.Helper()
	env, err := kannel.Install(t.Context(), logf)
	if errors.Is(err, kannel.ErrUnavailable) && os.Getenv("CI") != "true" {
		t.Skipf("NOT PROVEN HERE: this test needs Kannel: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	s, err := kannel.Start(t.Context(), env, kannel.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// kannelCode reads the code that the SMSC got for a number.
func kannelCode(t *testing.T, gateway *kannel.Server, stored string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for n := 1; ; n++ {
		m, err := gateway.Wait(ctx, n)
		if err != nil {
			t.Fatalf("no message to the number: %v; Kannel's log:\n%s", err, gateway.Logs())
		}
		if strings.TrimPrefix(m.To, "+") != stored {
			continue
		}
		code := regexp.MustCompile(`\d{6}`).FindString(m.Text)
		if code == "" {
			t.Fatalf("the message %q has no code", m.Text)
		}
		return code
	}
}
