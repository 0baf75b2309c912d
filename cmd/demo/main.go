// SPDX-License-Identifier: Apache-2.0

// Command demo runs the whole job on this machine and walks through it:
// register with an email address, log in, reset the password, add an address and
// a phone number.
// Every step prints the real HTTP status, and the mails are real mails.
//
// It installs what it needs. Where Python or PyPI is out of reach it says so,
// and walks against a small double of the homeserver.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/stack"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/synapse"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintln(os.Stderr, "\nThe demo has failed:", err)
		os.Exit(1)
	}
}

func say(format string, args ...any) { fmt.Printf(format+"\n", args...) }

func run(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "threepid-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	say("Installing what is missing. The first time takes a few minutes.")
	// On a port, one message of any user could stop Caddy: see ADR 20.
	admin := "unix/" + filepath.Join(dir, "admin.sock")
	opts := stack.Options{Dir: dir, RequireEmail: true, Callback: true, Admin: admin + "|0600", Logf: func(f string, a ...any) { say("  "+f, a...) }}
	env, err := synapse.Install(ctx, opts.Logf)
	switch {
	case errors.Is(err, synapse.ErrUnavailable):
		say("\n  !! Synapse cannot be installed here: %v", err)
		say("  !! The walk goes against a small double of it instead.\n")
	case err != nil:
		return err
	default:
		opts.Synapse = &env
	}
	say("  building Caddy with the module")
	if opts.Caddy, err = stack.Build(ctx); err != nil {
		return err
	}
	s, err := stack.Start(ctx, opts)
	if err != nil {
		return err
	}
	defer s.Stop()
	if err := walk(ctx, s); err != nil {
		return fmt.Errorf("%w\n\nThe end of Caddy's log:\n%s", err, tail(s.Caddy.Logs(), 4000))
	}
	if os.Getenv("DEMO_EXIT") == "1" {
		return nil
	}
	say("\nEverything stays up until you press Ctrl-C. Try it by hand:")
	say("  the homeserver, through our Caddy   %s", s.Public)
	say("  what it says it needs               %s/_matrix/client/versions", s.Public)
	say("  Caddy's configuration and log       %s", filepath.Join(dir, "caddy"))
	say("  its doctor                          %s threepid doctor --admin %s", opts.Caddy, admin)
	say("  a mail:  curl -d '{\"client_secret\":\"s\",\"email\":\"me@example.test\",\"send_attempt\":1}' \\")
	say("             %s/_matrix/client/v3/register/email/requestToken", s.Public)
	return showMail(ctx, s)
}

func tail(text string, size int) string { return text[max(0, len(text)-size):] }

// showMail prints the mails of whatever is tried by hand.
func showMail(ctx context.Context, s *stack.Stack) error {
	shown := len(s.Inbox.Messages())
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(500 * time.Millisecond):
		}
		for _, m := range s.Inbox.Messages()[shown:] {
			printMail(m)
			shown++
		}
	}
}
