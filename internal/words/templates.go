// SPDX-License-Identifier: Apache-2.0

package words

import (
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// Options says which templates are loaded.
type Options struct {
	// Server is the host of the public URL, in ASCII, by which users know it.
	Server string
	// Folder holds the operator's own files, or is nil. What is not in it is as
	// it comes: file by file, and in a file of words text by text.
	Folder fs.FS
	// Brands are the names of folders below brands/ in Folder.
	Brands []string
}

// Set is the templates of one server. It does not change once it is loaded.
type Set struct {
	languages []Language
	matcher   *matcher
	brands    map[string]map[string]*renderer // by brand and language
	looks     map[string]Look
}

// serverName is host[:port] in ASCII. Nothing in it means anything in a header
// or in HTML, and it cannot look like another name, as an IDN can.
var serverName = regexp.MustCompile(`^[0-9A-Za-z_.:\[\]-]+$`)

// New loads the templates as they come.
func New(server string) (*Set, error) { return Load(Options{Server: server}) }

// asTheyCome are the templates of the last server that has none of its own. A
// reload wants the same again, and to try them all takes longer than the rest of it.
var asTheyCome struct {
	sync.Mutex
	server string
	set    *Set
}

// Load reads all templates, renders each with sample data, and refuses what a
// reader could not use. Errors name the file, and the line where it is known.
func Load(opts Options) (*Set, error) {
	if opts.Folder != nil || len(opts.Brands) != 0 {
		return load(opts)
	}
	asTheyCome.Lock()
	defer asTheyCome.Unlock()
	if asTheyCome.set != nil && asTheyCome.server == opts.Server {
		return asTheyCome.set, nil
	}
	set, err := load(opts)
	if err == nil {
		asTheyCome.server, asTheyCome.set = opts.Server, set
	}
	return set, err
}

func load(opts Options) (*Set, error) {
	if !serverName.MatchString(opts.Server) {
		return nil, fmt.Errorf("server name %q cannot stand in a mail: it must be a host name in ASCII", opts.Server)
	}
	if len(opts.Brands) != 0 && opts.Folder == nil {
		return nil, errors.New("brands need a folder of templates")
	}
	s := &Set{brands: map[string]map[string]*renderer{}, looks: map[string]Look{}}
	errs := opts.strays()
	tags, err := opts.tags()
	if err = errors.Join(append(errs, err)...); err != nil {
		return nil, err
	}
	s.matcher = newMatcher(tags)
	r := &reader{files: map[string]*texts{}}
	for _, brand := range append([]string{""}, opts.Brands...) {
		if err := s.load(r, &opts, brand, tags); err != nil {
			return nil, err
		}
	}
	for _, tag := range tags {
		s.languages = append(s.languages, s.brands[""][tag].words.Language)
	}
	if err := s.check(); err != nil {
		return nil, err
	}
	if err := errors.Join(s.checkSMS(), s.checkNotices(), s.checkChanges()); err != nil {
		return nil, err
	}
	return s, nil
}

// tags are the languages there are, the fallback first.
func (o *Options) tags() ([]string, error) {
	tags := []string{fallback}
	add := func(dirs []string) {
		for _, dir := range dirs {
			if !slices.Contains(tags, dir) {
				tags = append(tags, dir)
			}
		}
	}
	for _, src := range o.of("") {
		dirs, err := languageDirs(src)
		if err != nil {
			return nil, err
		}
		add(dirs)
	}
	slices.Sort(tags[1:])
	var errs []error
	for _, brand := range o.Brands {
		dirs, err := languageDirs(source{o.Folder, "brands/" + brand + "/"})
		errs = append(errs, err)
		for _, dir := range dirs {
			// A language is chosen before the brand is known.
			if !slices.Contains(tags, dir) {
				errs = append(errs, fmt.Errorf("brands/%s/%s/%s: only a brand has words in %s; the other brands need them too, in %s/%s", brand, dir, wordsFile, dir, dir, wordsFile))
			}
		}
	}
	return tags, errors.Join(errs...)
}

// load reads what makes a brand.
func (s *Set) load(r *reader, opts *Options, brand string, tags []string) error {
	places := opts.of(brand)
	look, err := loadLook(places)
	if err != nil {
		return err
	}
	l, err := loadLayout(places)
	if err != nil {
		return err
	}
	s.looks[brand] = look
	s.brands[brand] = make(map[string]*renderer, len(tags))
	var errs []error
	for _, tag := range tags {
		w, err := r.language(places, tag)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		s.brands[brand][tag] = &renderer{server: opts.Server, words: w, layout: l, look: look}
	}
	return joined(errs)
}

// Render words one mail in English that cannot be refused.
func (s *Set) Render(m verification.Message, links Links) (Rendered, error) {
	links.Refuse = ""
	if err := known(m, links); err != nil {
		return Rendered{}, err
	}
	return s.brands[""][fallback].write(m, links)
}

// Mail words one mail in the default look.
func (s *Set) Mail(m verification.Message, links Links) (Rendered, error) {
	return s.MailFor("", m, links)
}

// MailFor words one mail of a brand, in the language of the message. A brand
// that there is not has the default look. Of the message only purpose, proof, times, language and the code are read.
func (s *Set) MailFor(brand string, m verification.Message, links Links) (Rendered, error) {
	if err := known(m, links); err != nil {
		return Rendered{}, err
	}
	if links.Refuse == "" {
		return Rendered{}, errors.New("a mail has a link by which its reader can refuse")
	}
	return s.renderer(brand, m.Language).write(m, links)
}

// renderer finds who writes for a brand in a language. Either may have been
// removed since the message was stored. A mail in the default look, or in the
// nearest language, is better than none.
func (s *Set) renderer(brand, lang string) *renderer {
	of, ok := s.brands[brand]
	if !ok {
		of = s.brands[""]
	}
	if w, ok := of[lang]; ok {
		return w
	}
	return of[s.matcher.match(lang)]
}

// Match returns the tag of the language that fits an Accept-Language header
// best. A header that is absent, broken or endless means English.
func (s *Set) Match(acceptLanguage string) string { return s.matcher.match(acceptLanguage) }

// Languages returns the languages in which there are words, English first.
func (s *Set) Languages() []Language { return slices.Clone(s.languages) }

// Brands returns the names of the brands; the first, "", is the default look.
func (s *Set) Brands() []string { return sortedKeys(s.brands) }

// Look returns the colours of a brand, or of the default look.
func (s *Set) Look(brand string) Look {
	if l, ok := s.looks[brand]; ok {
		return l
	}
	return s.looks[""]
}

// Each renders every mail with sample data: every brand, language, purpose and
// proof, and every notice. Names are like "de/password_link" and
// "brands/acme/de/password_notice".
func (s *Set) Each(fn func(name string, r Rendered) error) error {
	for _, brand := range s.Brands() {
		prefix := ""
		if brand != "" {
			prefix = "brands/" + brand + "/"
		}
		for _, tag := range s.matcher.tags {
			for _, k := range kinds() {
				w := s.brands[brand][tag]
				m, links := k.sample(w.server)
				r, err := w.write(m, links)
				if err != nil {
					return err
				}
				if err := fn(prefix+tag+"/"+string(k.purpose)+"_"+k.proofWord(), r); err != nil {
					return err
				}
			}
			if err := errors.Join(s.eachNotice(brand, tag, prefix, fn), s.eachChange(brand, tag, prefix, fn)); err != nil {
				return err
			}
		}
	}
	return nil
}

// kinds are all kinds of mail.
func kinds() []kind {
	all := make([]kind, 0, 2*len(purposes))
	for _, p := range purposes {
		for _, proof := range []verification.Proof{verification.ProofLink, verification.ProofCode} {
			all = append(all, kind{verification.Purpose(p), proof})
		}
	}
	return all
}

// sample is a mail of this kind as a reader might get it.
func (k kind) sample(server string) (verification.Message, Links) {
	sent := time.Date(2026, time.January, 2, 12, 0, 0, 0, time.UTC)
	m := verification.Message{
		ID: "sample.1", SID: "sample", Purpose: k.purpose, Medium: verification.Email, Proof: k.proof,
		Address: "reader@mail.example", Token: "sample-token", Created: sent, Expires: sent.Add(time.Hour),
	}
	page := "https://" + strings.ToLower(server) + "/_threepid/"
	links := Links{Refuse: page + "refuse?sid=sample&token=sample-token"}
	if k.proof == verification.ProofLink {
		links.Confirm, links.Check = page+"confirm?sid=sample&token=sample-token", "564738"
	} else {
		m.Token, links.Page = "918273", page+"confirm?sid=sample&with=code"
	}
	return m, links
}
