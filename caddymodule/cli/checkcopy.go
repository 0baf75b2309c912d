// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"io"
	"net/http"
	"path/filepath"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/caddy-threepid/caddy-threepid/caddymodule/admin"
	"github.com/caddy-threepid/caddy-threepid/internal/keyring"
)

func newCheckCopyCommand() *cobra.Command {
	cmd := newCommand("check-copy --file <copy>", "Says whether a copy of the key file is good",
		`Reads a copy of the key file, and says whether it has every key of the server that
is running. If it has, the server notes that, and the doctor asks for no copy until
there is a new key. The keys are not sent.

Exits with 1 if the copy lacks a key, or is the key file itself, and with 2 if it
cannot be read as a key file.`, runCheckCopy)
	cmd.Flags().StringP("file", "f", "", "The copy, where it is kept")
	return jsonFlag(remoteFlags(cmd))
}

func runCheckCopy(out io.Writer, flags caddycmd.Flags) (int, error) {
	server, err := newRemote(flags)
	if err != nil {
		return exitFailed, err
	}
	file := flags.String("file")
	if file == "" {
		return exitUsage, wrongUse("name the copy with --file")
	}
	file, err = filepath.Abs(file)
	if err != nil {
		return exitFailed, fmt.Errorf("find copy: %w", err)
	}
	keys, err := keyring.Load(file)
	if err != nil {
		return exitFailed, err
	}
	var found admin.CheckedCopy
	if err := server.call(http.MethodPost, admin.Base+"keys/check-copy", admin.CopyOf(keys, file), &found); err != nil {
		return exitFailed, err
	}
	code := 0
	if !found.Good {
		code = 1
	}
	if flags.Bool("json") {
		return code, printJSON(out, found)
	}
	said := "The copy has every key of the server."
	switch {
	case found.Same:
		said = "This is the key file itself, and no copy. Copy it to another disk, and check that."
	case !found.Good:
		said = fmt.Sprintf("The copy lacks keys of the server (%v): what they have sealed could not be read with it. Copy the key file again.", found.Lacks)
	}
	_, err = fmt.Fprintln(out, said)
	return code, err
}
