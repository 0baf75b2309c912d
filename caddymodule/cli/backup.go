// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"time"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/caddy-threepid/caddy-threepid/caddymodule/admin"
	"github.com/caddy-threepid/caddy-threepid/caddymodule/guests/badger"
	"github.com/caddy-threepid/caddy-threepid/caddymodule/internal/config"
	"github.com/caddy-threepid/caddy-threepid/internal/sealed"
	"github.com/caddy-threepid/caddy-threepid/store/badgerstore"
)

func newBackupCommand() *cobra.Command {
	cmd := newCommand("backup --output <file>", "Backs up the store of the server that is running",
		`Writes what the store of the server that is running holds at this moment into a file.
What is in it is sealed as in the store: without the key file it cannot be read, and
the key file is not in it. Keep a copy of the key file elsewhere.`, runBackup)
	cmd.Flags().StringP("output", "o", "", "The file, which must not exist")
	return jsonFlag(remoteFlags(cmd))
}

// backedUp is what backup and restore say of a backup.
type backedUp struct {
	File    string    `json:"file"`
	Begun   time.Time `json:"begun"`
	Entries int       `json:"entries"`
	SHA256  string    `json:"sha256"`
}

func backedUpOf(file string, info badgerstore.BackupInfo) backedUp {
	return backedUp{File: file, Begun: info.Begun, Entries: info.Entries, SHA256: fmt.Sprintf("%x", info.Sum)}
}

func runBackup(out io.Writer, flags caddycmd.Flags) (int, error) {
	server, err := newRemote(flags)
	if err != nil {
		return exitFailed, err
	}
	file := flags.String("output")
	if file == "" {
		return exitUsage, wrongUse("name the file with --output")
	}
	info, err := server.backUp(file)
	if err != nil {
		return exitFailed, err
	}
	said := backedUpOf(file, info)
	if flags.Bool("json") {
		return 0, printJSON(out, said)
	}
	_, err = fmt.Fprintf(out, "%d entries were backed up and checked. SHA-256: %s\n", said.Entries, said.SHA256)
	return 0, err
}

// backUp asks for a backup, and puts it into a file when it was found to be
// whole.
func (r remote) backUp(file string) (info badgerstore.BackupInfo, err error) {
	if _, err := os.Lstat(file); !errors.Is(err, fs.ErrNotExist) {
		return info, errors.Join(fmt.Errorf("%s exists already", file), err)
	}
	tmp, err := os.CreateTemp(filepath.Dir(file), "."+filepath.Base(file)+"-*") // mode 0600
	if err != nil {
		return info, fmt.Errorf("create backup: %w", err)
	}
	defer os.Remove(tmp.Name()) // which has another name when all went well
	defer func() { _ = tmp.Close() }()
	resp, err := r.ask(http.MethodPost, admin.Base+"store/backup", admin.Nothing{})
	if err != nil {
		return info, err
	}
	defer func() { _ = resp.Body.Close() }()
	if _, err := io.Copy(tmp, resp.Body); err != nil {
		return info, fmt.Errorf("receive backup: %w", err)
	}
	if _, err = tmp.Seek(0, io.SeekStart); err != nil {
		return info, fmt.Errorf("read backup: %w", err)
	}
	if info, err = badgerstore.CheckBackup(context.Background(), tmp); err != nil {
		return info, fmt.Errorf("check backup: %w", err)
	}
	if err := errors.Join(tmp.Sync(), tmp.Close()); err != nil {
		return info, fmt.Errorf("write backup: %w", err)
	}
	if err := os.Rename(tmp.Name(), file); err != nil {
		return info, fmt.Errorf("place backup: %w", err)
	}
	return info, nil
}

func newRestoreCommand() *cobra.Command {
	cmd := newCommand("restore --input <file> [--store <folder> | --config <file>]", "Makes a new store of a backup",
		`Makes a new store of a backup, in a folder that does not exist or is empty, while no
server runs over it. Start the server with that folder, and with a key file that has
the keys of the time of the backup.

Sessions are left out, because a session that was used up after the backup was made
could be used a second time: whoever was in the middle of something begins again.
Bindings, suppressions and limits are restored. --keep-sessions restores everything;
it is safe only if nothing was served after the backup was made.

Addresses that were forgotten after the backup was made have to be forgotten again.`, runRestore)
	cmd.Flags().StringP("input", "i", "", "The file")
	cmd.Flags().String("store", "", "The folder of the store (default: that of the configuration, or the one in Caddy's data folder)")
	configFlags(cmd, "The configuration to find the folder of the store in")
	cmd.Flags().Bool("keep-sessions", false, "Restore sessions too")
	return jsonFlag(cmd)
}

// restoredStore is what restore says.
type restoredStore struct {
	backedUp
	Store    string `json:"store"`
	Restored int    `json:"restored"`
	LeftOut  int    `json:"left_out"`
	Expired  int    `json:"expired"`
}

func runRestore(out io.Writer, flags caddycmd.Flags) (int, error) {
	file, dir := flags.String("input"), flags.String("store")
	if file == "" {
		return exitUsage, wrongUse("name the file with --input")
	}
	var err error
	if dir == "" {
		if dir, err = configuredStore(flags.String("config"), flags.String("adapter")); err != nil {
			return exitFailed, err
		}
	}
	if dir, err = badger.CanonicalDir(dir); err != nil {
		return exitFailed, err
	}
	in, err := os.Open(file)
	if err != nil {
		return exitFailed, fmt.Errorf("open backup: %w", err)
	}
	defer func() { _ = in.Close() }() // only read
	done, err := restore(context.Background(), in, dir, flags.Bool("keep-sessions"))
	if err != nil {
		return exitFailed, fmt.Errorf("restore %s: %w", file, err)
	}
	said := restoredStore{backedUpOf(file, done.BackupInfo), dir, done.Written, done.Dropped, done.Expired}
	if flags.Bool("json") {
		return 0, printJSON(out, said)
	}
	_, err = fmt.Fprintf(out, `%d of %d entries of %s were restored into %s.
%d had expired, and %d were left out because they belong to sessions.
Forget again what was forgotten after the backup was made.
`, said.Restored, said.Entries, said.Begun.Local().Format(time.DateTime), said.Store, said.Expired, said.LeftOut)
	return 0, err
}

// configuredStore is the folder that a configuration names, or has by default.
func configuredStore(file, adapter string) (string, error) {
	if file == "" {
		return config.DataPath("store"), nil
	}
	raw, _, _, err := caddycmd.LoadConfig(file, adapter)
	if err != nil {
		return "", fmt.Errorf("read configuration: %w", err)
	}
	var cfg struct {
		Apps struct {
			Threepid *struct {
				Store struct {
					Module string `json:"type"`
					badger.Store
				} `json:"store"`
			} `json:"threepid"`
		} `json:"apps"`
	}
	if err := json.Unmarshal(raw, &cfg); err != nil {
		return "", fmt.Errorf("read configuration: %w", err)
	}
	if cfg.Apps.Threepid == nil {
		return "", fmt.Errorf("%s does not use threepid", file)
	}
	store := &cfg.Apps.Threepid.Store
	if store.Module != "" && store.Module != "badger" {
		return "", fmt.Errorf("the store %q has its own way of being restored", store.Module)
	}
	e := config.NewExpander(nil)
	store.Judge(e)
	return store.Folder(), e.Err(nil)
}

// restore checks a backup before it makes anything of it.
func restore(ctx context.Context, in io.ReadSeeker, dir string, keepSessions bool) (badgerstore.Restored, error) {
	if _, err := badgerstore.CheckBackup(ctx, in); err != nil {
		return badgerstore.Restored{}, err
	}
	if _, err := in.Seek(0, io.SeekStart); err != nil {
		return badgerstore.Restored{}, fmt.Errorf("read backup: %w", err)
	}
	var what badgerstore.RestoreOptions
	if !keepSessions {
		what.Drop = sealed.DroppedAtRestore
	}
	return badgerstore.Restore(ctx, badgerstore.Options{Dir: dir}, in, what)
}
