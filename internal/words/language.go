// SPDX-License-Identifier: Apache-2.0

package words

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"sync"

	"golang.org/x/text/language"
)

// Language is one in which there are words.
type Language struct {
	// Tag is as BCP 47 writes it, and Name is what those who speak it call it.
	Tag, Name string
	// RTL says that it is written from right to left.
	RTL bool
	// Reviewed says that a native speaker has read all of it.
	Reviewed bool
}

// dir is for the HTML attribute of this name.
func (l Language) dir() string {
	if l.RTL {
		return "rtl"
	}
	return "ltr"
}

// words are all texts of a language.
type words struct {
	Language
	tag     language.Tag
	path    string // of the file that must have what is missing
	phrases map[string]phrase
	places  map[string]string
}

// reader reads the files of words of an operator, each of them once.
type reader struct {
	files map[string]*texts
}

// chain returns the files for a language, the most particular one first: those
// of the language in each place, and then those of the languages it belongs to.
func (r *reader) chain(places sources, tag language.Tag) ([]*texts, error) {
	var found []*texts
	for t := tag; t != language.Und; t = t.Parent() {
		for _, src := range places {
			name := src.dir + t.String() + "/" + wordsFile
			file, err := r.file(src.fsys, name)
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				return nil, err
			}
			found = append(found, file)
		}
	}
	return found, nil
}

// parsed are our own files once they were read: they do not change while the
// program runs, but configurations are loaded again.
var parsed sync.Map // of *texts by name

func (r *reader) file(fsys fs.FS, name string) (*texts, error) {
	own := fsys == fs.FS(builtin)
	if known, ok := parsed.Load(name); ok && own {
		return known.(*texts), nil
	}
	if known, ok := r.files[name]; ok && !own {
		return known, nil
	}
	raw, err := read(fsys, name)
	if err != nil {
		return nil, err
	}
	file, err := parseTexts(name, raw, wordRules)
	if err != nil {
		return nil, err
	}
	if own {
		parsed.Store(name, file)
	} else {
		r.files[name] = file
	}
	return file, nil
}

// language puts the words of a language together.
func (r *reader) language(places sources, dir string) (*words, error) {
	tag, err := language.Parse(dir)
	if err != nil {
		return nil, fmt.Errorf("language %q: %w", dir, err)
	}
	files, err := r.chain(places, tag)
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("language %q: %w", dir, fs.ErrNotExist)
	}
	w := &words{tag: tag, path: dir + "/" + wordsFile, phrases: map[string]phrase{}, places: map[string]string{}}
	for _, file := range slices.Backward(files) {
		maps.Copy(w.phrases, file.phrases)
		maps.Copy(w.places, file.places)
	}
	return w, w.check()
}

// check insists that nothing is missing, and reads what is about the language.
func (w *words) check() error {
	var errs []error
	for _, key := range sortedKeys(wordRules) {
		if _, ok := w.phrases[key]; !ok && !wordRules[key].optional {
			errs = append(errs, fmt.Errorf("%s: the text %q is missing", w.path, key))
		}
	}
	errs = append(errs, w.checkLife()...)
	say := func(key string) string { return w.phrases[key].plain(&values{}) }
	w.Language = Language{
		Tag: strings.TrimSuffix(w.path, "/"+wordsFile), Name: say("name"),
		RTL: say("dir") == "rtl", Reviewed: say("reviewed") == "yes",
	}
	for _, about := range []struct{ key, one, other string }{{"dir", "ltr", "rtl"}, {"reviewed", "yes", "no"}} {
		got, ok := say(about.key), w.phrases[about.key] != nil
		if ok && got != about.one && got != about.other {
			errs = append(errs, fmt.Errorf("%s: the text %q is %q, not %s or %s", w.places[about.key], about.key, got, about.one, about.other))
		}
	}
	return joined(errs)
}
