// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
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

	"github.com/caddy-threepid/caddy-threepid/caddymodule/internal/config"
	"github.com/caddy-threepid/caddy-threepid/handlers/pages"
	"github.com/caddy-threepid/caddy-threepid/internal/words"
)

// loadWords reads the words and looks of mails and pages. It reads the
// operator's files, so that `caddy validate` finds what is wrong with them.
func (a *App) loadWords(e *config.Expander, s *settings) {
	u, err := url.Parse(s.HTTP.PublicURL)
	if err != nil {
		e.Failf("public_url: %w", err)
		return
	}
	opts := words.Options{Server: u.Host}
	if folder := e.Text("templates", a.Templates); folder != "" {
		opts.Folder = os.DirFS(folder)
		if _, err := fs.ReadDir(opts.Folder, "."); err != nil {
			e.Failf("templates %s: %w", folder, config.PlainPathError(err))
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
	if s.Words, err = words.Load(opts); err != nil {
		e.In("templates").Fail(err)
		return
	}
	s.Looks = pages.LooksOf(s.Words)
	e.In("templates").Fail(s.Looks[""].Check())
	s.HTTP.Audience = &audience{words: s.Words, brands: a.loadBrands(e, s)}
}

// audience tells package handlers who makes a request.
type audience struct {
	words  *words.Set
	brands map[string]string // by host
}

func (*audience) ClientAddr(r *http.Request) netip.Addr { return clientOf(r) }

func (a *audience) Language(acceptLanguage string) string { return a.words.Match(acceptLanguage) }

func (a *audience) Brand(host string) string { return a.brands[hostname(host)] }

// resolveBrands checks what brands have besides files, and returns whose hosts
// are whose.
func (a *App) resolveBrands(e *config.Expander) map[string]string {
	hosts := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(a.Brands)) {
		b, inner := a.Brands[name], e.In("brand "+name)
		for _, host := range inner.List("host", b.Hosts) {
			if other, taken := hosts[hostname(host)]; taken {
				inner.Failf("host %s: is that of brand %s already", host, other)
			}
			hosts[hostname(host)] = name
		}
		for _, variable := range slices.Sorted(maps.Keys(b.CSS)) {
			value := inner.Text("css "+variable, b.CSS[variable])
			if err := pages.CheckVariable(variable, value); err != nil {
				inner.Failf("css %s: %s", variable, strings.TrimPrefix(err.Error(), variable+": "))
			}
		}
		if logo := inner.Text("logo", b.Logo); logo != "" && logoTypes[strings.ToLower(filepath.Ext(logo))] == "" {
			inner.Failf("logo %s: must be a .png, .jpg, .gif, .webp or .svg", logo)
		}
	}
	return hosts
}

// loadBrands reads what brands have besides templates.
func (a *App) loadBrands(e *config.Expander, s *settings) map[string]string {
	for _, name := range slices.Sorted(maps.Keys(a.Brands)) {
		b, inner := a.Brands[name], e.In("brand "+name)
		look, known := s.Looks[name]
		if !known {
			look = s.Looks[""]
			look.CSS = maps.Clone(look.CSS)
		}
		if look.CSS == nil {
			look.CSS = map[string]string{}
		}
		for variable, value := range b.CSS {
			look.CSS[variable] = inner.Text("css "+variable, value)
		}
		if logo := inner.Text("logo", b.Logo); logo != "" {
			raw, err := os.ReadFile(logo)
			if err != nil {
				inner.Failf("logo %s: %w", logo, config.PlainPathError(err))
				continue
			}
			look.Logo, look.LogoType = raw, logoTypes[strings.ToLower(filepath.Ext(logo))]
		}
		inner.Fail(look.Check())
		s.Looks[name] = look
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
	name, err := config.Arg(d)
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
	return config.ReadBlock(d, d.Nesting(), config.Options{
		"host": config.ManyArgs(d, &b.Hosts),
		"logo": config.OneArg(d, &b.Logo),
		"css": func() error {
			var variable, value string
			if !d.AllArgs(&variable, &value) {
				return config.ErrArgs
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
