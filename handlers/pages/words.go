// SPDX-License-Identifier: Apache-2.0

package pages

import (
	"html/template"
	"strings"
	"sync"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/words"
)

// Words are the words of all pages in one language.
type Words struct {
	// Lang and Dir are what the attributes of these names take.
	Lang, Dir string
	// Text returns the words for a key, see package words. Those for "address" name the
	// address, and those for "request made", "request app" and "request network"
	// what they are about, and those for "busy what" how long to wait; none of these
	// four, nor "busy title", need be there.
	Text func(key, value string) (string, error)
	// Life puts a time into words; nil leaves it in numbers.
	Life func(time.Duration) string
}

// Lasting is a time in words.
func (w Words) Lasting(d time.Duration) string {
	if w.Life == nil {
		return d.String()
	}
	return w.Life(d)
}

// Dictionary has the words in several languages.
type Dictionary interface {
	// Words returns those of a brand that fit an Accept-Language header best. It
	// always returns some.
	Words(brand, acceptLanguage string) Words
}

// Builtin has the words as they come, in every language that there is. They name the
// server, which is host[:port] in ASCII. They are loaded when somebody reads them: mostly
// others take their place before.
func Builtin(server string) Dictionary {
	return &builtin{load: sync.OnceValues(func() (*words.Set, error) { return words.New(server) })}
}

type builtin struct{ load func() (*words.Set, error) }

func (b *builtin) Words(brand, acceptLanguage string) Words {
	set, err := b.load()
	if err != nil {
		return Words{Lang: "en", Dir: "ltr", Text: func(string, string) (string, error) { return "", err }}
	}
	return FromTemplates(set).Words(brand, acceptLanguage)
}

// FromTemplates has the words of the messages' templates, which have those of
// the pages as well, for every brand and in every language.
func FromTemplates(set *words.Set) Dictionary { return templates{set} }

type templates struct{ set *words.Set }

func (d templates) Words(brand, acceptLanguage string) Words {
	w := d.set.WordsFor(brand, d.set.Match(acceptLanguage))
	return Words{Lang: w.Lang, Dir: w.Dir, Life: w.Wait, Text: func(key, value string) (string, error) {
		return w.Text("page "+key, words.PageData{Address: value, Made: value, App: value, Network: value, Life: value}) // each names one
	}}
}

// LooksOf are the looks of the messages' templates, so that a page looks like the mail
// that led to it.
func LooksOf(set *words.Set) map[string]Look {
	looks := map[string]Look{}
	for _, brand := range set.Brands() {
		l := set.Look(brand)
		css := map[string]string{}
		for prefix, p := range map[string]words.Palette{"": l.Light, "dark-": l.Dark} {
			for name, colour := range map[string]template.CSS{
				"bg": p.Background, "card": p.Card, "text": p.Text, "muted": p.Muted, "accent": p.Accent, "on-accent": p.OnAccent,
			} {
				css[prefix+name] = string(colour)
			}
		}
		looks[brand] = Look{Name: l.Logo, CSS: css}
	}
	return looks
}

// phonePrefix begins the words that are said in place of others where the
// message went to a phone: it was no mail, and there is no folder for spam.
const phonePrefix = "sms "

// phoneKeys are the words that there are others for then.
var phoneKeys = func() map[string]bool {
	keys := map[string]bool{}
	for _, key := range words.PageKeys() {
		if other, ok := strings.CutPrefix(key, "page "+phonePrefix); ok {
			keys[other] = true
		}
	}
	return keys
}()

// maxAccept bounds an Accept-Language header; browsers send far less.
const maxAccept = 256

// preference is the Accept-Language header of a reader, followed by the
// language of the session: a reader knows best, and a message was understood.
func preference(acceptLanguage, session string) string {
	if len(acceptLanguage) > maxAccept {
		acceptLanguage = ""
	}
	if !languageTag(session) {
		return acceptLanguage
	}
	if acceptLanguage == "" {
		return session
	}
	return acceptLanguage + ", " + session + ";q=0.001"
}

// languageTag reports whether s looks like a tag of RFC 5646, so that nothing
// else gets into a header.
func languageTag(s string) bool {
	if s == "" || len(s) > 35 {
		return false
	}
	return !strings.ContainsFunc(s, func(r rune) bool {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
		return !letter && r != '-' && (r < '0' || r > '9')
	})
}
