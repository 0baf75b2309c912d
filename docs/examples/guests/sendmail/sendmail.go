// SPDX-License-Identifier: Apache-2.0

// Package sendmail is a mailer that hands each mail to a program of this machine.
package sendmail

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"github.com/caddy-threepid/caddy-threepid/caddymodule/guest"
	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

func init() {
	caddy.RegisterModule(new(Mailer))
}

// Mailer runs a program for each mail, which gets it on its standard input.
type Mailer struct {
	// The sender's mailbox.
	Sender string `json:"from,omitempty"`
	// The program with its arguments, in which {from} and {to} are the addresses.
	Command []string `json:"command,omitempty"`
}

// CaddyModule returns the Caddy module information.
func (*Mailer) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "threepid.mailers.sendmail", New: func() caddy.Module { return new(Mailer) }}
}

// Provision refuses what is wrong with the options. It runs no program.
func (m *Mailer) Provision(caddy.Context) error {
	if m.Sender == "" || len(m.Command) == 0 {
		return errors.New("a sendmail needs from and command")
	}
	return nil
}

// Start finds out whether there is such a program. If not, the configuration is
// refused, and the one before it goes on.
func (m *Mailer) Start() error {
	_, err := exec.LookPath(m.Command[0])
	return err
}

// From is the sender's mailbox.
func (m *Mailer) From() string { return m.Sender }

// Send runs the program. Its exit code 75 (EX_TEMPFAIL) asks to try again later. What it
// writes is not told: it may repeat the address.
func (m *Mailer) Send(ctx context.Context, from, to string, message []byte) error {
	place := strings.NewReplacer("{from}", from, "{to}", to)
	args := make([]string, 0, len(m.Command))
	for _, arg := range m.Command {
		args = append(args, place.Replace(arg))
	}
	cmd := exec.CommandContext(ctx, args[0], args[1:]...) //nolint:gosec // the operator has chosen the program, and no shell reads an address
	cmd.Stdin = bytes.NewReader(message)
	cmd.WaitDelay = time.Second
	err := cmd.Run()
	if err == nil {
		return nil
	}
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return &guest.SendError{Reason: guest.ReasonTimeout, Again: true, Unsure: true, Err: ctx.Err()}
	case errors.As(err, &exit) && exit.ExitCode() == 75:
		return &guest.SendError{Reason: guest.ReasonGateway, Again: true}
	case errors.As(err, &exit):
		return &guest.SendError{Reason: guest.ReasonRejected, Err: fmt.Errorf("the program ended with %d", exit.ExitCode())}
	}
	return &guest.SendError{Reason: guest.ReasonGateway, Again: true, Fault: true, Err: errors.New("the program cannot be run")}
}

// UnmarshalCaddyfile sets up the mailer from Caddyfile tokens.
func (m *Mailer) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume the module's name
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		switch d.Val() {
		case "from":
			if !d.AllArgs(&m.Sender) {
				return d.ArgErr()
			}
		case "command":
			if m.Command = d.RemainingArgs(); len(m.Command) == 0 {
				return d.ArgErr()
			}
		default:
			return d.Errf("there is no option '%s' here", d.Val())
		}
	}
	return nil
}

// Interface guards
var (
	_ guest.Mailer          = (*Mailer)(nil)
	_ guest.Starter         = (*Mailer)(nil)
	_ caddy.Provisioner     = (*Mailer)(nil)
	_ caddyfile.Unmarshaler = (*Mailer)(nil)
)
