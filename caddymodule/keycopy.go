// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/caddy-threepid/caddy-threepid/internal/keyring"
)

// keyCopy names the keys that a copy of the key file has, each by its id and its
// mark. The keys themselves stay where they are.
type keyCopy struct {
	Keys string `json:"keys"` // "2:<mark> 1:<mark>"
	// File is where the copy is, so that the key file is not taken for one.
	File string `json:"file,omitempty"`
}

func copyOf(keys *keyring.Ring, file string) keyCopy {
	marks := keys.Marks()
	named := make([]string, 0, len(marks))
	for _, mark := range marks {
		named = append(named, fmt.Sprintf("%d:%s", mark.ID, mark.Sum))
	}
	return keyCopy{Keys: strings.Join(named, " "), File: file}
}

// marks reads what copyOf has written.
func (c keyCopy) marks() ([]keyring.Mark, error) {
	var marks []keyring.Mark
	for named := range strings.FieldsSeq(c.Keys) {
		id, sum, ok := strings.Cut(named, ":")
		n, err := strconv.ParseUint(id, 10, 8)
		if err != nil || !ok {
			return nil, refused(errors.New("'keys' must name keys as in \"1:<mark>\""))
		}
		marks = append(marks, keyring.Mark{ID: byte(n), Sum: sum})
	}
	return marks, nil
}

// CheckedCopy is what a copy is worth.
type CheckedCopy struct {
	// Good: it has every key of the server.
	Good bool `json:"good"`
	// Lacks are the ids of the keys that it does not have.
	Lacks []int `json:"lacks"`
	// Same: it is the key file itself, under whatever name, and no copy.
	Same bool `json:"same,omitempty"`
}

func adminCheckCopy(ctx context.Context, app *App, req keyCopy) (any, error) {
	marks, err := req.marks()
	if err != nil {
		return nil, err
	}
	inst, release, err := app.Serving()
	if err != nil {
		return nil, err
	}
	defer release()
	lacks, same, err := inst.CheckCopy(ctx, req.File, marks)
	if err != nil {
		return nil, err
	}
	return CheckedCopy{Good: !same && len(lacks) == 0, Lacks: append([]int{}, lacks...), Same: same}, nil
}

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
	var found CheckedCopy
	if err := server.call(http.MethodPost, adminBase+"keys/check-copy", copyOf(keys, file), &found); err != nil {
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
