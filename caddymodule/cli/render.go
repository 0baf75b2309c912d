// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/caddy-threepid/caddy-threepid/handlers/pages"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
	"github.com/caddy-threepid/caddy-threepid/internal/words"
)

func newRenderCommand() *cobra.Command {
	cmd := newCommand("render --output <folder>", "Writes every mail and every page into a folder, to be looked at",
		`Renders every mail, as text and as HTML, every text message and every page of the
web in every language and brand with sample data. It needs no running server, and says
what is wrong with templates of one's own just as the server would.`, runRender)
	cmd.Flags().StringP("output", "o", "", "The folder to write into; it is made where the one that it is to be in is there")
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
	// Pages are the names of files with pages of the web.
	Pages []string `json:"pages"`
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
		return exitUsage, wrongUse("name a folder with --output")
	}
	set, err := loadTemplates(flags.String("templates"), flags.String("server"))
	if err != nil {
		return exitFailed, err
	}
	if err := makeFolder(folder); err != nil {
		return exitFailed, fmt.Errorf("--output: %w", err)
	}
	written, err := writeAll(set, folder, flags.String("server"))
	if err != nil {
		return exitFailed, fmt.Errorf("write messages and pages: %w", err)
	}
	if flags.Bool("json") {
		return 0, printJSON(out, written)
	}
	return 0, written.print(out)
}

// loadTemplates reads a folder of templates, with all brands in it; without one, those
// that are built in. A folder that is not there is a slip: what is built in would look
// as if it were one's own.
func loadTemplates(own, server string) (*words.Set, error) {
	opts := words.Options{Server: server}
	if own != "" {
		if err := isFolder(own); err != nil {
			return nil, fmt.Errorf("--templates: %w", err)
		}
		opts.Folder = os.DirFS(own)
		entries, err := fs.ReadDir(opts.Folder, "brands")
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("read templates: %w", err)
		}
		for _, entry := range entries {
			if entry.IsDir() {
				opts.Brands = append(opts.Brands, entry.Name())
			}
		}
	}
	return words.Load(opts)
}

// isFolder says what is wrong with a folder that is to be there.
func isFolder(name string) error {
	switch info, err := os.Stat(name); {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("the folder %s does not exist", name)
	case err != nil:
		return err
	case !info.IsDir():
		return fmt.Errorf("%s is no folder", name)
	}
	return nil
}

// makeFolder makes a folder, but none of those that it is in: a path with a slip in it
// does not become a tree.
func makeFolder(name string) error {
	err := os.Mkdir(name, 0o755)
	if errors.Is(err, fs.ErrNotExist) {
		return isFolder(filepath.Dir(filepath.Clean(name)))
	}
	if errors.Is(err, fs.ErrExist) {
		return isFolder(name)
	}
	return err
}

// writeAll writes everything that a person may be shown.
func writeAll(set *words.Set, folder, server string) (written Written, err error) {
	written.Folder = folder
	for _, language := range set.Languages() {
		written.Languages = append(written.Languages, language.Tag)
	}
	write := func(name, text string) error {
		file := filepath.Join(folder, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return err
		}
		return os.WriteFile(file, []byte(text), 0o600)
	}
	err = set.Each(func(name string, r words.Rendered) error {
		written.Mails = append(written.Mails, name)
		return errors.Join(write(name+".txt", "Subject: "+r.Subject+"\n\n"+r.Text), write(name+".html", r.HTML))
	})
	if err != nil {
		return written, err
	}
	if written.SMS, err = writeSMS(set, folder); err != nil {
		return written, err
	}
	err = pages.EachSample(server, set, func(name string, html []byte) error {
		written.Pages = append(written.Pages, name)
		return write(name, string(html))
	})
	slices.Sort(written.Pages)
	return written, err
}

// print says what was written.
func (written Written) print(out io.Writer) error {
	_, err := fmt.Fprintf(out, "Wrote %d mails, %d short messages and %d pages in %d languages into %s.\n",
		len(written.Mails), len(written.SMS), len(written.Pages), len(written.Languages), written.Folder)
	for _, s := range written.SMS {
		if s.Segments > 1 {
			_, err = fmt.Fprintf(out, "%s takes %d segments, each of which is paid for.\n", s.File, s.Segments)
		}
	}
	return err
}

// writeSMS writes the messages to phones beside the mails.
func writeSMS(set *words.Set, folder string) ([]RenderedSMS, error) {
	var list []RenderedSMS
	for _, cost := range set.SMSCosts() {
		text, err := set.SMS(cost.Brand, verification.Message{
			Purpose: threepid.Purpose(cost.Purpose), Medium: threepid.MSISDN, Proof: verification.ProofCode,
			Token: "123456", Language: cost.Language,
		})
		if err != nil {
			return nil, err
		}
		name := filepath.Join(cost.Language, cost.Purpose+".sms.txt")
		if cost.Brand != "" {
			name = filepath.Join("brands", cost.Brand, name) // where its mails are
		}
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
