// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

func newRotateKeysCommand() *cobra.Command {
	cmd := newCommand("rotate-keys [--prune]", "Begins to use a new key",
		`Puts a new key into the key file of the server that is running, which uses it at
once. What was made with the former keys stays valid for as long as it would have
been, and what has no end is sealed anew. Back the key file up afterwards.

Former keys are dropped when they were replaced long ago and nothing is sealed with
them any more; --prune does only that. Other servers with the same key file have to
be reloaded.`, runRotateKeys)
	cmd.Flags().Bool("prune", false, "Make no new key, only drop old ones")
	return jsonFlag(remoteFlags(cmd))
}

func runRotateKeys(out io.Writer, flags caddycmd.Flags) (int, error) {
	server, err := newRemote(flags)
	if err != nil {
		return exitFailed, err
	}
	path := "keys/rotate"
	if flags.Bool("prune") {
		path = "keys/prune"
	}
	var keys Keys
	if err := server.call(http.MethodPost, adminBase+path, nothing{}, &keys); err != nil {
		return exitFailed, err
	}
	if flags.Bool("json") {
		return 0, printJSON(out, keys)
	}
	return 0, keys.print(out)
}

func (k Keys) print(out io.Writer) error {
	if k.Pending {
		_, err := fmt.Fprintln(out, "Old records are being sealed with the new key. That goes on in the background.")
		return err
	}
	_, _ = fmt.Fprintf(out, "%d old records were sealed with the key in use.\n", k.Moved)
	for _, id := range k.Dropped {
		_, _ = fmt.Fprintf(out, "Key %d was dropped.\n", id)
	}
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "KEY\tSINCE\tRECORDS\tNEEDED UNTIL")
	for i, key := range k.Keys {
		since, until := "not known", "in use"
		if key.Since != nil {
			since = key.Since.Local().Format(time.DateTime)
		}
		if i > 0 {
			until = "not known"
		}
		if key.NeededUntil != nil {
			until = key.NeededUntil.Local().Format(time.DateTime)
		}
		_, _ = fmt.Fprintf(w, "%d\t%s\t%d\t%s\n", key.ID, since, key.Records, until)
	}
	return w.Flush()
}

func newForgetCommand() *cobra.Command {
	cmd := newCommand("forget --medium <medium> --address <address>", "Erases what is stored about an address",
		`Erases everything that the server that is running has stored about an email address
or a phone number: sessions, messages that wait, limits, bindings, suppressions. The
address may be "-" to be read from standard input, which keeps it out of the shell's
history.

The homeserver keeps the addresses of its accounts, relays and gateways keep their
logs, identity servers what was published there, and backups what was in them.`, runForget)
	cmd.Flags().String("medium", "email", "email or msisdn")
	cmd.Flags().String("address", "", "The address to forget, or - for standard input")
	cmd.Flags().String("admin", "", "The address of the admin endpoint, like unix//run/threepid/admin.sock or localhost:2019")
	cmd.Flags().StringP("config", "c", "", "The configuration to find the admin endpoint in")
	cmd.Flags().StringP("adapter", "a", "", "The name of the adapter of that configuration")
	return jsonFlag(cmd)
}

func runForget(out io.Writer, flags caddycmd.Flags) (int, error) {
	endpoint, err := adminAddress(flags.String("admin"), flags.String("config"), flags.String("adapter"), documentedSocket)
	if err != nil {
		return exitFailed, err
	}
	req := addressRequest{Medium: verification.Medium(flags.String("medium")), Address: flags.String("address")}
	if req.Address == "-" {
		line, err := bufio.NewReader(os.Stdin).ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return exitFailed, fmt.Errorf("read address: %w", err)
		}
		req.Address = strings.TrimSpace(line)
	}
	var gone Forgotten
	if err := (remote{endpoint}).call(http.MethodPost, adminBase+"addresses/forget", req, &gone); err != nil {
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
	return 0, nil
}
