// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"
)

func init() {
	caddycmd.RegisterCommand(caddycmd.Command{
		Name:  "threepid",
		Usage: "<command>",
		Short: "Looks after the verification of email addresses and phone numbers",
		Long: `
Looks after the verification of email addresses and phone numbers for a Matrix
homeserver. Most commands ask the server that is running, through its admin
endpoint, and have to be run as its user or as root. Name the endpoint with
--address, or the configuration it is in with --config; otherwise it is that of
CADDY_ADMIN, /run/threepid/admin.sock if that is there, or Caddy's default.

They exit with 0 when all is well, with 1 for a warning or a usage error, and with
2 when something is wrong; --json prints what programs can read.`,
		CobraFunc: func(cmd *cobra.Command) {
			for _, make := range commands {
				cmd.AddCommand(make())
			}
		},
	})
}

// commands make the subcommands, in the order of the help.
var commands = []func() *cobra.Command{
	newDoctorCommand, newStatusCommand, newSendTestCommand, newRenderCommand, newCABundleCommand, newSMSCommand, newResumeCommand,
	newForgetCommand, newRotateKeysCommand, newCheckCopyCommand, newBackupCommand, newRestoreCommand,
}

// runner is what a subcommand does. It writes to out, and returns the exit code.
type runner func(out io.Writer, flags caddycmd.Flags) (int, error)

// newCommand makes a subcommand.
func newCommand(use, short, long string, run runner) *cobra.Command {
	cmd := &cobra.Command{Use: use, Short: short, Long: long, Args: cobra.NoArgs}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		code := 0
		err := caddycmd.WrapCommandFuncForCobra(func(flags caddycmd.Flags) (_ int, err error) {
			code, err = run(cmd.OutOrStdout(), flags)
			return code, err
		})(cmd, args)
		if code != 0 {
			// Cobra would add that the program ends with this code.
			cmd.SilenceErrors, cmd.SilenceUsage = true, true
		}
		if err == nil && code != 0 {
			return errSaid // Caddy takes 1 without an error for success
		}
		return err
	}
	return cmd
}

// errSaid ends a command with 1 after it has said what is wrong by itself.
var errSaid = errors.New("something is wrong")

// remoteFlags are those of commands that ask the running server.
func remoteFlags(cmd *cobra.Command) *cobra.Command {
	cmd.Flags().StringP("address", "", "", "The address of the admin endpoint, like unix//run/threepid/admin.sock or localhost:2019")
	cmd.Flags().StringP("config", "c", "", "The configuration to find the admin endpoint in")
	cmd.Flags().StringP("adapter", "a", "", "The name of the adapter of that configuration")
	return cmd
}

// jsonFlag lets a command print JSON.
func jsonFlag(cmd *cobra.Command) *cobra.Command {
	cmd.Flags().Bool("json", false, "Print JSON")
	return cmd
}

// remote is the admin endpoint of a running server.
type remote struct{ address string }

func newRemote(flags caddycmd.Flags) (remote, error) {
	address, err := adminAddress(flags.String("address"), flags.String("config"), flags.String("adapter"), documentedSocket)
	return remote{address}, err
}

// maxAdminAnswer bounds what is read of the server's answer, in bytes.
const maxAdminAnswer = 8 << 20

// ask sends a request. A body that is not nil is sent as JSON; what has an effect
// has one, and the header that lets it in.
func (r remote) ask(method, path string, body any) (*http.Response, error) {
	header := http.Header{}
	var payload io.Reader
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			return nil, fmt.Errorf("encode request: %w", err)
		}
		payload = bytes.NewReader(raw)
		header.Set(doorHeader, doorValue)
	}
	resp, err := caddycmd.AdminAPIRequest(r.address, method, path, header, payload)
	if err != nil {
		return nil, fmt.Errorf("ask the server at %s (is it running, is its admin endpoint on, and are you its user?): %w", r.address, err)
	}
	return resp, nil
}

// fetch asks for one path and returns the body of the answer.
func (r remote) fetch(method, path string, body any) ([]byte, error) {
	resp, err := r.ask(method, path, body)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxAdminAnswer+1))
	if err != nil {
		return nil, fmt.Errorf("read the server's answer: %w", err)
	}
	if len(raw) > maxAdminAnswer {
		return nil, errors.New("read the server's answer: it is too large")
	}
	return raw, nil
}

// call asks for one path and decodes the answer.
func (r remote) call(method, path string, body, into any) error {
	raw, err := r.fetch(method, path, body)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return fmt.Errorf("read the server's answer: %w", err)
	}
	return nil
}

// printJSON prints what programs can read.
func printJSON(out io.Writer, v any) error {
	enc := json.NewEncoder(out)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// exitFailed is the exit code of a command that did not work. It is not that of
// a warning, so that a script can tell the doctor's from a server that is down.
const exitFailed = 2
