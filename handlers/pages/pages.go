// SPDX-License-Identifier: Apache-2.0

package pages

import (
	"bytes"
	_ "embed" // the files of a page
	"errors"
	"fmt"
	"html/template"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"time"
)

var (
	//go:embed page.html
	pageHTML string
	//go:embed style.css
	pageStyle string

	layout = template.Must(template.New("page").Parse(pageHTML))
)

// Options are what pages are made of.
type Options struct {
	// Server is the host of the public URL, by which readers know it; required.
	Server string
	// Words are the words; nil means those that come with the program.
	Words Dictionary
	// Looks are the brands by name. That of "" is for all others.
	Looks map[string]Look
	// Now is the clock; nil means the real one.
	Now func() time.Time
}

// Pages renders.
type Pages struct {
	// Now is the clock of [PressCheck]s.
	Now func() time.Time

	server string
	words  Dictionary
	looks  map[string]*dress
}

// New checks the options. It refuses a look that could not be read or that
// would break out of the page.
func New(opts Options) (*Pages, error) {
	if opts.Server == "" {
		return nil, errors.New("the name of the server is required")
	}
	if opts.Words == nil {
		opts.Words = Builtin(opts.Server)
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	p := &Pages{Now: opts.Now, server: opts.Server, words: opts.Words, looks: map[string]*dress{}}
	looks := maps.Clone(opts.Looks)
	if looks == nil {
		looks = map[string]Look{}
	}
	if _, ok := looks[""]; !ok {
		looks[""] = Look{}
	}
	for _, brand := range slices.Sorted(maps.Keys(looks)) {
		d, err := looks[brand].tailor(opts.Server)
		if err != nil {
			return nil, fmt.Errorf("look of brand %q: %w", brand, err)
		}
		p.looks[brand] = d
	}
	return p, nil
}

// Words are those of a brand for a reader.
func (p *Pages) Words(brand, acceptLanguage string) Words {
	return p.words.Words(brand, preference(acceptLanguage, ""))
}

// data is what the template is given.
type data struct {
	content
	Lang, Dir, Server, Name string
	Style                   template.CSS
	Logo                    template.URL
}

// composed is a page before it is sent.
type composed struct {
	html  []byte
	words Words
	look  *dress
}

// compose makes a page for a reader with an Accept-Language header.
func (p *Pages) compose(v View, accept string) (composed, error) {
	page := composed{words: p.words.Words(v.Brand, preference(accept, v.Language)), look: p.looks[v.Brand]}
	if page.look == nil {
		page.look = p.looks[""]
	}
	c, err := fill(v, page.words)
	if err != nil {
		return page, err
	}
	var buf bytes.Buffer
	err = layout.Execute(&buf, data{
		content: c, Lang: page.words.Lang, Dir: page.words.Dir, Server: p.server,
		Name: page.look.name, Style: page.look.style, Logo: page.look.logo,
	})
	page.html = buf.Bytes()
	return page, err
}

// HTML is a page that is not sent to anybody, in a language.
func (p *Pages) HTML(v View, language string) ([]byte, error) {
	page, err := p.compose(v, language)
	return page.html, err
}

// Render writes a page. A failure to render is answered with status 500 and
// returned.
func (p *Pages) Render(w http.ResponseWriter, r *http.Request, status int, v View) error {
	page, err := p.compose(v, r.Header.Get("Accept-Language"))
	h := w.Header()
	Headers(h)
	h.Set("Content-Security-Policy", page.look.policy(v.FormTarget))
	h.Set("Content-Type", "text/html; charset=utf-8")
	if err != nil {
		status, page.html = http.StatusInternalServerError, []byte("Internal server error\n")
		h.Set("Content-Type", "text/plain; charset=utf-8")
	} else {
		h.Set("Content-Language", page.words.Lang)
		h.Set("Vary", "Accept-Language")
	}
	h.Set("Content-Length", strconv.Itoa(len(page.html)))
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(page.html) // the reader may be gone
	}
	return err
}

// policy is the Content-Security-Policy of a page in this look.
func (d *dress) policy(formTarget string) string {
	csp := "default-src 'none'; style-src 'sha256-" + d.digest + "'; form-action 'self'"
	if formTarget != "" {
		csp += " " + formTarget
	}
	if d.logo != "" {
		csp += "; img-src data:"
	}
	return csp + "; frame-ancestors 'none'; base-uri 'none'"
}

// Headers keep a page, whose address is a secret, out of caches, frames, search
// engines and other servers' logs.
func Headers(h http.Header) {
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("X-Robots-Tag", "noindex, nofollow")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
}
