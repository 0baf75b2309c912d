// SPDX-License-Identifier: Apache-2.0

package words

import (
	"fmt"
	htmltemplate "html/template"
	"strings"
	"time"
)

// PageData is what the words of a page may name besides the server.
type PageData struct {
	// Address is the reader's own. Only "page address" names it.
	Address string
	// Made, App and Network are when and where a request was made. Only the words
	// of these names name them.
	Made, App, Network string
	// Life is how long to wait, as [Words.Wait] says it. Only the words that
	// ask somebody to wait name it.
	Life string
}

// Words are the words of pages in one language.
type Words struct {
	// Lang and Dir are for the HTML attributes of these names.
	Lang, Dir string

	renderer *renderer
}

// Words returns the words of pages in a language, as [Set.Match] returns it.
func (s *Set) Words(lang string) Words { return s.WordsFor("", lang) }

// WordsFor returns the words that pages of a brand have. A brand that there is
// not has those of the default look.
func (s *Set) WordsFor(brand, lang string) Words {
	w := s.renderer(brand, lang)
	return Words{Lang: w.words.Tag, Dir: w.words.dir(), renderer: w}
}

// Text returns the words for one of [PageKeys] as plain text, which is still
// to be escaped. From right to left, names of hosts are between isolates.
func (w Words) Text(key string, data PageData) (string, error) {
	p, err := w.phrase(key)
	if err != nil {
		return "", err
	}
	if w.renderer.words.RTL {
		return p.isolated(w.values(data)), nil
	}
	return p.plain(w.values(data)), nil
}

// Wait puts into words how long to wait. It is rounded up, or who comes back in
// time comes too early.
func (w Words) Wait(d time.Duration) string {
	whole := time.Minute
	if d > 24*time.Hour {
		whole = time.Hour // minutes are not said then
	}
	return w.renderer.words.life((d + whole - 1).Truncate(whole))
}

// HTML returns the words for one of [PageKeys] with names marked up and
// everything escaped. It is not for attributes, nor for the title of a page.
func (w Words) HTML(key string, data PageData) (htmltemplate.HTML, error) {
	p, err := w.phrase(key)
	if err != nil {
		return "", err
	}
	return p.markup(w.values(data), w.renderer.words.RTL), nil
}

func (w Words) values(data PageData) *values {
	return &values{server: w.renderer.server, address: data.Address, life: data.Life, made: data.Made, app: data.App, network: data.Network}
}

func (w Words) phrase(key string) (phrase, error) {
	if w.renderer == nil {
		return nil, fmt.Errorf("words for %q of no language", key)
	}
	p, ok := w.renderer.words.phrases[key]
	if !ok && wordRules[key].optional {
		return nil, nil // a language of the operator's need not have it
	}
	if !ok || !strings.HasPrefix(key, "page ") {
		return nil, fmt.Errorf("there are no words for %q on a page", key)
	}
	return p, nil
}
