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
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

func newRenderCommand() *cobra.Command {
	cmd := newCommand("render --output <folder>", "Writes every mail into a folder, to be looked at",
		`Renders every mail in every language and brand with sample data, as text and as
HTML. It needs no running server, and says what is wrong with templates of one's
own just as the server would.`, runRender)
	cmd.Flags().StringP("output", "o", "", "The folder to write into")
	cmd.Flags().String("templates", "", "The folder with templates of one's own")
	cmd.Flags().String("server", "matrix.example.org", "The name of the server in the mails")
	return jsonFlag(cmd)
}

// Written is what `render` has written.
type Written struct {
	Folder    string   `json:"folder"`
	Languages []string `json:"languages"`
	// Mails are the names of files, without .txt and .html.
	Mails []string `json:"mails"`
	// SMS are the names of files with messages to phones, each with what it
	// costs.
	SMS []RenderedSMS `json:"sms"`
}

// RenderedSMS is one message to a phone.
type RenderedSMS struct {
	File     string `json:"file"`
	Segments int    `json:"segments"`
	// Unicode says that fewer characters fit a segment.
	Unicode bool `json:"unicode"`
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
	written := Written{Folder: folder}
	for _, language := range set.Languages() {
		written.Languages = append(written.Languages, language.Tag)
	}
	err = set.Each(func(name string, r templates.Rendered) error {
		written.Mails = append(written.Mails, name)
		base := filepath.Join(folder, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(base), 0o755); err != nil {
			return err
		}
		return errors.Join(
			os.WriteFile(base+".txt", []byte("Subject: "+r.Subject+"\n\n"+r.Text), 0o600),
			os.WriteFile(base+".html", []byte(r.HTML), 0o600),
		)
	})
	if err == nil {
		written.SMS, err = writeSMS(set, folder)
	}
	if err != nil {
		return exitFailed, fmt.Errorf("write messages: %w", err)
	}
	if flags.Bool("json") {
		return 0, printJSON(out, written)
	}
	_, err = fmt.Fprintf(out, "Wrote %d mails and %d short messages in %d languages into %s.\n",
		len(written.Mails), len(written.SMS), len(written.Languages), folder)
	for _, s := range written.SMS {
		if s.Segments > 1 {
			_, err = fmt.Fprintf(out, "%s takes %d segments, each of which is paid for.\n", s.File, s.Segments)
		}
	}
	return 0, err
}

// writeSMS writes the messages to phones beside the mails.
func writeSMS(set *templates.Set, folder string) ([]RenderedSMS, error) {
	var list []RenderedSMS
	for _, cost := range set.SMSCosts() {
		text, err := set.SMS(cost.Brand, verification.Message{
			Purpose: verification.Purpose(cost.Purpose), Medium: verification.MSISDN, Proof: verification.ProofCode,
			Token: "123456", Language: cost.Language,
		})
		if err != nil {
			return nil, err
		}
		name := filepath.Join(cost.Brand, cost.Language, cost.Purpose+".sms.txt")
		if err := os.MkdirAll(filepath.Join(folder, filepath.Dir(name)), 0o755); err != nil {
			return nil, err
		}
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text+"\n"), 0o600); err != nil {
			return nil, err
		}
		list = append(list, RenderedSMS{File: filepath.ToSlash(name), Segments: cost.Segments, Unicode: cost.Unicode})
	}
	return list, nil
}
