// SPDX-License-Identifier: Apache-2.0

package words

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/text/language"
)

//go:embed ar de en es fa fr he it ja ko nl pl pt ru tr uk zh-Hans layout
var builtin embed.FS

// maxFile bounds a file. Some mail programs cut off a mail of 100 kB.
const maxFile = 64 << 10

const (
	wordsFile = "words.txt"
	textFile  = "layout/mail.txt"
	htmlFile  = "layout/mail.html"
	lookFile  = "layout/look.txt"
)

var brandName = regexp.MustCompile(`^[0-9a-z][0-9a-z_-]{0,62}(\.[0-9a-z_-]{1,63}){0,8}$`)

// sources are the places in which a file is looked for: that of the brand, the
// operator's, and ours.
type sources []source

type source struct {
	fsys fs.FS
	dir  string // "" or "brands/<brand>/"
}

// of returns the places for a brand.
func (o *Options) of(brand string) sources {
	var s sources
	if o.Folder != nil {
		if brand != "" {
			s = append(s, source{o.Folder, "brands/" + brand + "/"})
		}
		s = append(s, source{o.Folder, ""})
	}
	return append(s, source{builtin, ""})
}

// first reads the file from the first place that has it.
func (s sources) first(name string) (where string, raw []byte, err error) {
	for _, src := range s {
		raw, err = read(src.fsys, src.dir+name)
		if !errors.Is(err, fs.ErrNotExist) {
			return src.dir + name, raw, err
		}
	}
	return "", nil, err
}

// read reads a file of an editor that may have begun it with a byte order mark
// and ended lines with CRLF.
func read(fsys fs.FS, name string) ([]byte, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, fmt.Errorf("open template: %w", err)
	}
	defer func() { _ = f.Close() }() // it was only read
	raw, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("read template: %w", err)
	}
	if len(raw) > maxFile {
		return nil, fmt.Errorf("%s: the file has more than %d bytes", name, maxFile)
	}
	raw = bytes.TrimPrefix(raw, []byte("\ufeff"))
	return bytes.ReplaceAll(raw, []byte("\r\n"), []byte("\n")), nil
}

// languageDirs are the folders with words in a place.
func languageDirs(src source) ([]string, error) {
	found, err := fs.Glob(src.fsys, src.dir+"*/"+wordsFile)
	if err != nil {
		return nil, fmt.Errorf("list languages: %w", err)
	}
	var dirs []string
	var errs []error
	for _, name := range found {
		dir := path.Base(path.Dir(name))
		tag, err := language.Parse(dir)
		if err != nil || tag.String() != dir || tag == language.Und {
			errs = append(errs, fmt.Errorf("%s: %q is not the name of a language as BCP 47 writes it%s", name, dir, inForm(tag, err)))
			continue
		}
		dirs = append(dirs, dir)
	}
	return dirs, joined(errs)
}

func inForm(tag language.Tag, err error) string {
	if err != nil || tag == language.Und {
		return "; examples are de and zh-Hans"
	}
	return "; that is " + tag.String()
}

// strays are files that look like ours but would never be read, so that a
// misspelled name is not a change without effect.
func (o *Options) strays() []error {
	if o.Folder == nil {
		return nil
	}
	var errs []error
	for _, pattern := range []string{"layout/*", "brands/*/layout/*"} {
		names, err := fs.Glob(o.Folder, pattern)
		if err != nil {
			return []error{fmt.Errorf("list layouts: %w", err)}
		}
		for _, name := range names {
			base := path.Base(name)
			ours := strings.HasPrefix(base, "mail") || strings.HasPrefix(base, "look")
			if ours && !slices.Contains([]string{textFile, htmlFile, lookFile}, "layout/"+base) {
				errs = append(errs, fmt.Errorf("%s: no such file is read; there are mail.txt, mail.html and look.txt", name))
			}
		}
	}
	for _, brand := range o.Brands {
		if !brandName.MatchString(brand) {
			errs = append(errs, fmt.Errorf("brand %q: the name may have a-z, 0-9, '-', '_' and '.'", brand))
			continue
		}
		if info, err := fs.Stat(o.Folder, "brands/"+brand); err != nil || !info.IsDir() {
			errs = append(errs, fmt.Errorf("brand %q: there is no folder brands/%s", brand, brand))
		}
	}
	return errs
}
