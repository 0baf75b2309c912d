// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/caddy-threepid/caddy-threepid/caddymodule/admin"
)

func newForgetCommand() *cobra.Command {
	cmd := newCommand("forget --address <address>", "Erases what is stored about an address",
		`Erases everything that the server that is running has stored about an email address
or a phone number: sessions, messages that wait, limits, bindings, suppressions. The
address may be "-" to be read from standard input, which keeps it out of the shell's
history. Exits with 0 if there was nothing, too.

The homeserver keeps the addresses of its accounts, relays and gateways keep their
logs, identity servers what was published there, and backups what was in them.`, runForget)
	return jsonFlag(remoteFlags(personFlags(cmd)))
}

func runForget(out io.Writer, flags caddycmd.Flags) (int, error) {
	var gone admin.Forgotten
	server, req, err := aboutPerson(flags)
	if err != nil {
		return exitFailed, err
	}
	if err := server.call(http.MethodPost, admin.Base+"addresses/forget", req, &gone); err != nil {
		return exitFailed, err
	}
	if flags.Bool("json") {
		return 0, printJSON(out, gone)
	}
	_, _ = fmt.Fprintf(out, "%d entries were erased.\n", gone.Entries)
	for _, kind := range slices.Sorted(maps.Keys(gone.Erased)) {
		if n := gone.Erased[kind]; n > 0 {
			_, _ = fmt.Fprintf(out, "  %s: %d\n", strings.ReplaceAll(kind, "_", " "), n)
		}
	}
	if !gone.Compacted {
		_, _ = fmt.Fprintln(out, "The files of the store still have them, sealed, until the store compacts itself.")
	}
	for _, folder := range gone.Left {
		_, _ = fmt.Fprintf(out, "Messages that were written into %s are files, and were not looked at: delete them there.\n", folder)
	}
	return 0, nil
}
