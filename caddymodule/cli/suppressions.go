// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"io"
	"net/http"
	"text/tabwriter"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/caddy-threepid/caddy-threepid/caddymodule/admin"
)

func newSuppressionsCommand() *cobra.Command {
	return group(&cobra.Command{
		Use: "suppressions <command>", Short: "Lists and changes which addresses get no messages",
		Long: `Addresses that do not exist, whose readers called a message spam, or that an operator
has named get no messages for a while.

` + exitCodes,
	}, []func() *cobra.Command{newListSuppressionsCommand, newSuppressCommand, newReleaseCommand})
}

func newListSuppressionsCommand() *cobra.Command {
	cmd := newCommand("list", "Lists the addresses that get no messages",
		`Lists at most 1000, the one that ends first at the head, each by the pseudonym that
logs of today have. Whether one address is among them: caddy threepid find.`, runListSuppressions)
	return jsonFlag(remoteFlags(cmd))
}

func runListSuppressions(out io.Writer, flags caddycmd.Flags) (int, error) {
	server, err := newRemote(flags)
	if err != nil {
		return exitFailed, err
	}
	var list admin.Suppressions
	if err := server.call(http.MethodGet, admin.Base+"suppressions", nil, &list); err != nil {
		return exitFailed, err
	}
	if flags.Bool("json") {
		return exitDone, printJSON(out, list)
	}
	if len(list.Suppressions) == 0 {
		_, err := fmt.Fprintln(out, "No address is suppressed. Who says \"I did not ask for this\" gets none for a day that the same network asks for, or none at all; `find` shows that.")
		return exitDone, err
	}
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "ADDRESS\tMEDIUM\tSINCE\tUNTIL\tWHY")
	for _, s := range list.Suppressions {
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", s.Pseudonym, s.Medium, clock(s.Since), clock(s.Until), suppressionWords(s.Reason, s.Code))
	}
	if list.More {
		_, _ = fmt.Fprintln(w, "There are others.")
	}
	return exitDone, w.Flush()
}

func newSuppressCommand() *cobra.Command {
	cmd := newCommand("add --address <address>", "Lets an address get no messages for a year",
		"Lets an email address or a phone number get no messages for a year.", runSuppress)
	return jsonFlag(remoteFlags(personFlags(cmd)))
}

func runSuppress(out io.Writer, flags caddycmd.Flags) (int, error) {
	var said admin.Suppressing
	if err := suppressing(flags, "add", &said); err != nil {
		return exitFailed, err
	}
	if flags.Bool("json") {
		return exitDone, printJSON(out, said)
	}
	_, err := fmt.Fprintf(out, "The address gets no messages until %s.\n", clock(*said.Until))
	return exitDone, err
}

func newReleaseCommand() *cobra.Command {
	cmd := newCommand("remove --address <address>", "Lets an address get messages again",
		`Forgets why an address gets no messages, and what was counted against it. That its
owner has said "I did not ask for this" is not among it, and ends by itself after a
day at most. Exits with 1 if there was nothing.`, runRelease)
	return jsonFlag(remoteFlags(personFlags(cmd)))
}

func runRelease(out io.Writer, flags caddycmd.Flags) (int, error) {
	var said admin.Suppressing
	if err := suppressing(flags, "remove", &said); err != nil {
		return exitFailed, err
	}
	code, text := exitDone, "The address gets messages again."
	if !said.Removed {
		code, text = exitRemark, "There was nothing against this address."
	}
	if flags.Bool("json") {
		return code, printJSON(out, said)
	}
	_, err := fmt.Fprintln(out, text)
	return code, err
}

func suppressing(flags caddycmd.Flags, what string, said *admin.Suppressing) error {
	server, person, err := aboutPerson(flags)
	if err != nil {
		return err
	}
	return server.call(http.MethodPost, admin.Base+"suppressions/"+what, person, said)
}
