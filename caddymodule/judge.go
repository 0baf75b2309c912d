// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	netmail "net/mail"
	"net/url"
	"slices"
	"strings"

	"go.uber.org/zap"

	"github.com/caddy-threepid/caddy-threepid/caddymodule/guest"
	"github.com/caddy-threepid/caddy-threepid/caddymodule/internal/config"
	"github.com/caddy-threepid/caddy-threepid/internal/address"
	"github.com/caddy-threepid/caddy-threepid/internal/instance"
	"github.com/caddy-threepid/caddy-threepid/internal/mail"
)

// judgeGuest judges a guest of our own.
func judgeGuest(e *config.Expander, g any) {
	if judged, ok := g.(config.Judged); ok {
		judged.Judge(e)
	}
}

// judge finds what is wrong with a configuration. It is called for a Caddyfile as
// it was read, and again when placeholders can be expanded.
func (a *App) judge(e *config.Expander) {
	a.settings = a.resolve(e)
	judgeGuest(e.In("store "+guestName(a.store, "threepid.stores.")), a.store)
	a.judgeMailer(e)
	a.judgeGateways(e.In("sms"))
}

func (a *App) judgeMailer(e *config.Expander) {
	if a.mailer == nil {
		return
	}
	inner := e.In("mailer " + guestName(a.mailer, "threepid.mailers."))
	judgeGuest(inner, a.mailer)
	if from := a.mailer.From(); from != "" {
		inner.Fail(checkSender(from))
	}
}

// checkSender refuses a mailbox that cannot stand in every mail. What is wrong
// with it is for whoever writes one to see.
func checkSender(from string) error {
	parsed, err := netmail.ParseAddress(from)
	if err != nil {
		return fmt.Errorf("from %q: is no mailbox; write noreply@example.org or \"Example <noreply@example.org>\"", from)
	}
	local, domain, _ := strings.Cut(parsed.Address, "@")
	if ascii(parsed.Address) {
		if _, _, err := mail.Sender(from); err != nil {
			return fmt.Errorf("from %q: %w; write noreply@example.org or \"Example <noreply@example.org>\"", from, err)
		}
		return nil
	}
	if canonical := asciiDomain(domain); canonical != "" && ascii(local) {
		return fmt.Errorf("from %q: not every mail server takes a domain in this spelling; write %s@%s", from, local, canonical)
	}
	return fmt.Errorf("from %q: must be ASCII: not every mail server takes another sender", from)
}

// asciiDomain is the spelling of a domain in the DNS, or empty.
func asciiDomain(domain string) string {
	canonical, err := address.Email("a@" + domain)
	if err != nil {
		return ""
	}
	return canonical[len("a@"):]
}

// checkOriginSpelling refuses a host that browsers and mails spell otherwise.
func checkOriginSpelling(option, origin string) error {
	u, err := url.Parse(origin)
	if ascii(origin) || err != nil || asciiDomain(u.Hostname()) == "" {
		return nil // that is refused for what it is
	}
	return fmt.Errorf("%s %s: browsers spell this host in ASCII; write %s", option, origin,
		strings.Replace(origin, u.Hostname(), asciiDomain(u.Hostname()), 1))
}

func ascii(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r > '~' })
}

// judgeGateways looks at the senders of messages to phones, and at the routes to
// them.
func (a *App) judgeGateways(e *config.Expander) {
	if a.SMS == nil {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(a.gateways)) {
		judgeGuest(e.In("sender "+name+" "+guestName(a.gateways[name], "threepid.sms.")), a.gateways[name])
	}
	if e.Failed() {
		return // routes and senders may be for what is wrong
	}
	e.Fail(a.settings.CheckRoutes())
}

// rehearse reads the files, and then puts everything together as Start will, over
// a store that is not there and keys that nobody has: what cannot be put together
// is found before anything is stopped for it.
func (a *App) rehearse(e *config.Expander) {
	a.loadWords(e, &a.settings)
	a.loadPolicy(e)
	a.judgeKeys(e)
	if e.Failed() {
		return
	}
	e.Fail(instance.Rehearse(a.settings.Config))
}

// judgeKeys reads the key file as Start will. Whoever may not read it may be
// another user than the server is; that is for Start to find.
func (a *App) judgeKeys(e *config.Expander) {
	err := instance.CheckKeyFile(a.settings.KeyFile)
	if err != nil && !errors.Is(err, fs.ErrPermission) {
		e.Fail(err)
	}
}

// tell logs what an operator should know of a configuration that is in order.
func (a *App) tell() {
	for _, n := range a.notices {
		a.logger.Warn(n.text, n.fields...)
	}
	a.examine()
}

// announce collects it.
func (a *App) announce() {
	if a.PublicURL == "" {
		a.notice("public_url is not configured; links in mails lead to this machine only",
			zap.String("public_url", a.settings.HTTP.PublicURL))
	}
	if file, ok := a.mailer.(guest.Folder); ok && a.defaultMailer {
		a.notice("no mailer is configured; mail is written into a folder and not sent", zap.String("folder", file.Folder()))
	}
	for _, name := range slices.Sorted(maps.Keys(a.gateways)) {
		if file, ok := a.gateways[name].(guest.Folder); ok {
			a.notice("messages to phones are written into a folder and not sent",
				zap.String("sender", name), zap.String("folder", file.Folder()))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(a.formerLimits())) {
		if *a.formerLimits()[name] != nil {
			a.notice("a limit has a line of its own, as earlier versions have it; write it in a block: limits { … }", zap.String("limit", name))
		}
	}
	if a.SMS == nil {
		return
	}
	for _, cost := range a.settings.Words.SMSCosts() {
		if cost.Segments > 1 {
			a.notice("a message to phones takes more than one segment, each of which is paid for",
				zap.String("brand", cost.Brand), zap.String("language", cost.Language), zap.String("purpose", cost.Purpose),
				zap.Int("segments", cost.Segments), zap.Bool("unicode", cost.Unicode))
		}
	}
}
