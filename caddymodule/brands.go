// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"errors"
	"io/fs"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-threepid/caddy-threepid/handlers/pages"
	"github.com/caddy-threepid/caddy-threepid/internal/words"
)

// loadWords reads the words and looks of mails and pages. It reads the
// operator's files, so that `caddy validate` finds what is wrong with them.
func (a *App) loadWords(e *expander, s *settings) {
	u, err := url.Parse(s.http.PublicURL)
	if err != nil {
		e.failf("public_url: %w", err)
		return
	}
	opts := words.Options{Server: u.Host}
	if folder := e.text("templates", a.Templates); folder != "" {
		opts.Folder = os.DirFS(folder)
		if _, err := fs.ReadDir(opts.Folder, "."); err != nil {
			e.failf("templates %s: %w", folder, plainPathError(err))
			return
		}
	}
	for _, name := range slices.Sorted(maps.Keys(a.Brands)) {
		if opts.Folder == nil {
			break
		}
		if _, err := fs.Stat(opts.Folder, "brands/"+name); err == nil {
			opts.Brands = append(opts.Brands, name)
		}
	}
	if s.templates, err = words.Load(opts); err != nil {
		e.in("templates").fail(err)
		return
	}
	s.looks = pages.LooksOf(s.templates)
	e.in("templates").fail(s.looks[""].Check())
	s.http.Audience = &audience{templates: s.templates, brands: a.loadBrands(e, s)}
}

// audience tells package handlers who makes a request.
type audience struct {
	templates *words.Set
	brands    map[string]string // by host
}

// ClientAddr implements [handlers.Audience].
func (*audience) ClientAddr(r *http.Request) netip.Addr { return clientOf(r) }

// Language implements [handlers.Audience].
func (a *audience) Language(acceptLanguage string) string { return a.templates.Match(acceptLanguage) }

// Brand implements [handlers.Audience].
func (a *audience) Brand(host string) string { return a.brands[hostname(host)] }

// plainPathError is an error of the file system without the name of the call and
// of the file, which is said already.
func plainPathError(err error) error {
	if path, ok := errors.AsType[*fs.PathError](err); ok {
		return path.Err
	}
	return err
}

// resolveBrands checks what brands have besides files, and returns whose hosts
// are whose.
func (a *App) resolveBrands(e *expander) map[string]string {
	hosts := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(a.Brands)) {
		b, inner := a.Brands[name], e.in("brand "+name)
		for _, host := range inner.list("host", b.Hosts) {
			if other, taken := hosts[hostname(host)]; taken {
				inner.failf("host %s: is that of brand %s already", host, other)
			}
			hosts[hostname(host)] = name
		}
		for _, variable := range slices.Sorted(maps.Keys(b.CSS)) {
			value := inner.text("css "+variable, b.CSS[variable])
			if err := pages.CheckVariable(variable, value); err != nil {
				inner.failf("css %s: %s", variable, strings.TrimPrefix(err.Error(), variable+": "))
			}
		}
		if logo := inner.text("logo", b.Logo); logo != "" && logoTypes[strings.ToLower(filepath.Ext(logo))] == "" {
			inner.failf("logo %s: must be a .png, .jpg, .gif, .webp or .svg", logo)
		}
	}
	return hosts
}

// loadBrands reads what brands have besides templates.
func (a *App) loadBrands(e *expander, s *settings) map[string]string {
	for _, name := range slices.Sorted(maps.Keys(a.Brands)) {
		b, inner := a.Brands[name], e.in("brand "+name)
		look, known := s.looks[name]
		if !known {
			look = s.looks[""]
			look.CSS = maps.Clone(look.CSS)
		}
		if look.CSS == nil {
			look.CSS = map[string]string{}
		}
		for variable, value := range b.CSS {
			look.CSS[variable] = inner.text("css "+variable, value)
		}
		if logo := inner.text("logo", b.Logo); logo != "" {
			raw, err := os.ReadFile(logo)
			if err != nil {
				inner.failf("logo %s: %w", logo, plainPathError(err))
				continue
			}
			look.Logo, look.LogoType = raw, logoTypes[strings.ToLower(filepath.Ext(logo))]
		}
		inner.fail(look.Check())
		s.looks[name] = look
	}
	return a.resolveBrands(newExpander()) // whose faults are known
}

// hostname is a host in the form in which they are compared.
func hostname(host string) string {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	return strings.ToLower(strings.TrimSuffix(host, "."))
}

// logoTypes are the pictures that pages can have.
var logoTypes = map[string]string{
	".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".gif": "image/gif", ".webp": "image/webp", ".svg": "image/svg+xml",
}

// bareColour is a colour without its number sign, which begins a comment in a
// Caddyfile.
var bareColour = regexp.MustCompile(`^(?:[0-9A-Fa-f]{3}|[0-9A-Fa-f]{6})$`)

func colour(value string) string {
	if bareColour.MatchString(value) {
		return "#" + value
	}
	return value
}

// readBrand reads a block of the Caddyfile.
func (a *App) readBrand(d *caddyfile.Dispenser) error {
	name, err := arg(d)
	if err != nil {
		return err
	}
	if a.Brands == nil {
		a.Brands = map[string]*Brand{}
	}
	if a.Brands[name] != nil {
		return d.Errf("brand '%s' is given twice", name)
	}
	b := new(Brand)
	a.Brands[name] = b
	return readBlock(d, d.Nesting(), options{
		"host": manyArgs(d, &b.Hosts),
		"logo": oneArg(d, &b.Logo),
		"css": func() error {
			var variable, value string
			if !d.AllArgs(&variable, &value) {
				return errArgs
			}
			if b.CSS == nil {
				b.CSS = map[string]string{}
			}
			if _, twice := b.CSS[variable]; twice {
				return d.Errf("css '%s' is given twice", variable)
			}
			b.CSS[variable] = colour(value)
			return nil
		},
	})
}
