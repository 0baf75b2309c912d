// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/caddy-threepid/caddy-threepid/internal/delivery/templates"
)

func newRenderCommand() *cobra.Command {
	cmd := newCommand("render --output <folder>", "Writes every mail into a folder, to be looked at",
		`Renders every mail in every language and brand with sample data, as text and as
HTML. It needs no running server, and says what is wrong with templates of one's
own just as the server would.`, runRender)
	cmd.Flags().StringP("output", "o", "", "The folder to write into")
	cmd.Flags().String("templates", "", "The folder with templates of one's own")
	cmd.Flags().String("server", "matrix.example.org", "The name of the server in the mails")
	return cmd
}

func runRender(out io.Writer, flags caddycmd.Flags) (int, error) {
	folder := flags.String("output")
	if folder == "" {
		return exitFailed, errors.New("name a folder with --output")
	}
	opts := templates.Options{Server: flags.String("server")}
	if own := flags.String("templates"); own != "" {
		opts.Folder = os.DirFS(own)
		entries, err := fs.ReadDir(opts.Folder, "brands")
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return exitFailed, fmt.Errorf("read templates: %w", err)
		}
		for _, entry := range entries {
			if entry.IsDir() {
				opts.Brands = append(opts.Brands, entry.Name())
			}
		}
	}
	set, err := templates.Load(opts)
	if err != nil {
		return exitFailed, err
	}
	mails := 0
	err = set.Each(func(name string, r templates.Rendered) error {
		mails++
		base := filepath.Join(folder, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(base), 0o755); err != nil {
			return err
		}
		return errors.Join(
			os.WriteFile(base+".txt", []byte("Subject: "+r.Subject+"\n\n"+r.Text), 0o600),
			os.WriteFile(base+".html", []byte(r.HTML), 0o600),
		)
	})
	if err != nil {
		return exitFailed, fmt.Errorf("write mails: %w", err)
	}
	_, err = fmt.Fprintf(out, "Wrote %d mails in %d languages into %s.\n", mails, len(set.Languages()), folder)
	return 0, err
}
