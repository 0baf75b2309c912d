// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"encoding/json"
	"errors"
	"io"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"
)

func init() {
	caddycmd.RegisterCommand(caddycmd.Command{
		Name:      "threepid",
		Usage:     "<command>",
		Short:     "Looks after the verification of email addresses and phone numbers",
		Long:      long,
		CobraFunc: func(cmd *cobra.Command) { group(cmd, commands) },
	})
}

const long = `
Looks after the verification of email addresses and phone numbers for a Matrix
homeserver. Most commands ask the server that is running, through its admin
endpoint, and have to be run as its user or as root. Name the endpoint with
--admin, or the configuration it is in with --config; otherwise it is that of
CADDY_ADMIN, /run/threepid/admin.sock if that is there, or Caddy's default.
--address is always the address, or the number, of a person.

` + exitCodes

// commands make the subcommands, in the order of the help.
var commands = []func() *cobra.Command{
	newDoctorCommand, newStatusCommand, newFindCommand, newSendTestCommand, newSessionsCommand, newSuppressionsCommand, newLimitsCommand,
	newSMSCommand, newResumeCommand, newForgetCommand, newCheckCopyCommand, newRotateKeysCommand, newBackupCommand,
	newRestoreCommand, newRenderCommand, newCABundleCommand,
}

// The exit codes. Caddy ends with 1 for whatever it finds wrong with a command line
// itself, so ours do too.
const (
	exitDone   = 0
	exitRemark = 1 // it was done, and there is something to look at
	exitUsage  = 1
	// exitFailed is not that of a warning, so that a script can tell the doctor's
	// from a server that is down.
	exitFailed = 2
)

// exitCodes is the same, for people.
const exitCodes = `Exit codes: 0 when it is done and all is well; 1 when there is something to look
at (a warning, a pause, nothing was found), and when the command line is wrong; 2
when it failed, the server refused, or it does not run. --json prints what programs
can read.`

// usageError is an error that the command line has, whatever the server would say.
type usageError struct{ error }

func wrongUse(text string) error { return usageError{errors.New(text)} }

// runner is what a subcommand does. It writes to out, and returns the exit code.
type runner func(out io.Writer, flags caddycmd.Flags) (int, error)

// newCommand makes a subcommand.
func newCommand(use, short, long string, run runner) *cobra.Command {
	cmd := &cobra.Command{Use: use, Short: short, Long: long, Args: noArguments, ValidArgsFunction: cobra.NoFileCompletions}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		code := exitDone
		err := caddycmd.WrapCommandFuncForCobra(func(flags caddycmd.Flags) (_ int, err error) {
			code, err = run(cmd.OutOrStdout(), flags)
			if _, wrong := errors.AsType[usageError](err); wrong {
				code = exitUsage
			}
			return code, err
		})(cmd, args)
		if code != exitDone {
			// Cobra would add that the program ends with this code.
			cmd.SilenceErrors, cmd.SilenceUsage = true, true
		}
		if err == nil && code != exitDone {
			return errSaid // Caddy takes 1 without an error for success
		}
		return err
	}
	return cmd
}

// errSaid ends a command with 1 after it has said what is wrong by itself.
var errSaid = errors.New("something is wrong")

// jsonFlag lets a command print JSON.
func jsonFlag(cmd *cobra.Command) *cobra.Command {
	cmd.Flags().Bool("json", false, "Print JSON")
	return cmd
}

// printJSON prints what programs can read.
func printJSON(out io.Writer, v any) error {
	enc := json.NewEncoder(out)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}
