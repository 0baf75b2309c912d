// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-threepid/caddy-threepid/handlers"
	"github.com/caddy-threepid/caddy-threepid/internal/delivery/templates"
)

// loadWords reads the words and looks of mails and pages. It reads the
// operator's files, so that `caddy validate` finds what is wrong with them.
func (a *App) loadWords(s *settings) error {
	u, err := url.Parse(s.http.PublicURL)
	if err != nil {
		return fmt.Errorf("public_url: %w", err)
	}
	e := newExpander()
	folder := e.text("templates", a.Templates)
	if err := e.err(); err != nil {
		return err
	}
	opts := templates.Options{Server: u.Host}
	if folder != "" {
		opts.Folder = os.DirFS(folder)
		if _, err := fs.Stat(opts.Folder, "."); err != nil {
			return fmt.Errorf("templates: %w", err)
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
	if s.templates, err = templates.Load(opts); err != nil {
		return fmt.Errorf("templates: %w", err)
	}
	s.looks = handlers.TemplateLooks(s.templates)
	hosts, err := a.loadBrands(s)
	s.http.Match = s.templates.Match
	s.http.Brand = func(host string) string { return hosts[hostname(host)] }
	return err
}

// loadBrands reads what brands have besides templates, and returns whose hosts
// are whose.
func (a *App) loadBrands(s *settings) (map[string]string, error) {
	hosts := map[string]string{}
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(a.Brands)) {
		b := a.Brands[name]
		for _, host := range b.Hosts {
			if other, taken := hosts[hostname(host)]; taken {
				errs = append(errs, fmt.Errorf("brand %s: the host %s is that of %s", name, host, other))
			}
			hosts[hostname(host)] = name
		}
		look, known := s.looks[name]
		if !known {
			look = s.looks[""]
			look.CSS = maps.Clone(look.CSS)
		}
		if look.CSS == nil {
			look.CSS = map[string]string{}
		}
		maps.Copy(look.CSS, b.CSS)
		var err error
		if b.Logo != "" {
			look.Logo, look.LogoType, err = readLogo(b.Logo)
			errs = append(errs, err)
		}
		s.looks[name] = look
	}
	return hosts, errors.Join(errs...)
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

func readLogo(file string) ([]byte, string, error) {
	kind, ok := logoTypes[strings.ToLower(filepath.Ext(file))]
	if !ok {
		return nil, "", fmt.Errorf("logo %s: it must be a PNG, JPEG, GIF, WebP or SVG", file)
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, "", fmt.Errorf("logo: %w", err)
	}
	return raw, kind, nil
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
				return d.ArgErr()
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
