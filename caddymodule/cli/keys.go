// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"io"
	"net/http"
	"text/tabwriter"
	"time"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/caddy-threepid/caddy-threepid/caddymodule/admin"
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
	var keys admin.Keys
	if err := server.call(http.MethodPost, admin.Base+path, admin.Nothing{}, &keys); err != nil {
		return exitFailed, err
	}
	if flags.Bool("json") {
		return 0, printJSON(out, keys)
	}
	prune := flags.Bool("prune")
	if err := printKeys(out, keys, prune); err != nil || prune {
		return 0, err
	}
	_, err = fmt.Fprintln(out, "Copy the key file again, and run `caddy threepid check-copy --file <copy>`.")
	return 0, err
}

func printKeys(out io.Writer, k admin.Keys, pruned bool) error {
	if k.Pending {
		_, err := fmt.Fprintln(out, "Old records are being sealed with the new key. That goes on in the background.")
		return err
	}
	switch {
	case pruned && k.Moved == 0 && len(k.Dropped) == 0:
		_, _ = fmt.Fprintln(out, "No key was dropped: each is in use, or needed for a while.")
	case pruned && k.Moved == 0: // the keys that were dropped follow
	case k.Moved == 0:
		_, _ = fmt.Fprintln(out, "Nothing had to be sealed anew: there was no older binding or suppression. Sessions stay with their key until they end.")
	default:
		_, _ = fmt.Fprintf(out, "Older bindings and suppressions that were sealed with the key in use: %d. Sessions stay with their key until they end.\n", k.Moved)
	}
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
