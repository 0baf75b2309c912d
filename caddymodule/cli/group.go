// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// group makes a command of subcommands. Cobra prints the help of one that is not
// there, and is content; a backup that never runs because of a slip in a crontab
// must not look like one that did.
func group(cmd *cobra.Command, subcommands []func() *cobra.Command) *cobra.Command {
	cmd.Args = cobra.ArbitraryArgs
	cmd.ValidArgsFunction = cobra.NoFileCompletions
	// Flags are the subcommand's, and must not hide that there is none.
	cmd.FParseErrWhitelist.UnknownFlags = true
	cmd.SuggestionsMinimumDistance = 2
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return unknownCommand(cmd, args) }
	cmd.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return fmt.Errorf("%w; see `%s --help`", err, cmd.CommandPath())
	})
	for _, make := range subcommands {
		cmd.AddCommand(make())
	}
	return cmd
}

// unknownCommand says which command may have been meant.
func unknownCommand(cmd *cobra.Command, args []string) error {
	see := fmt.Sprintf("see `%s --help`", cmd.CommandPath())
	if len(args) == 0 {
		return errors.New("name a command: " + see)
	}
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		see = fmt.Sprintf("did you mean `%s %s`?", cmd.CommandPath(), strings.Join(near, "` or `"))
	}
	return fmt.Errorf("`%s` has no command %q: %s", cmd.CommandPath(), args[0], see)
}

// noArguments refuses what belongs to no flag, and does not repeat it: it may be
// somebody's address.
func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return fmt.Errorf("there is an argument too many; the usage is `%s`", cmd.UseLine())
}
