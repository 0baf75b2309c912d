// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"errors"
	"fmt"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-threepid/caddy-threepid/caddymodule/guest"
)

// loadGuests loads the modules of others and our own.
func (a *App) loadGuests(ctx caddy.Context) error {
	if err := a.loadStore(ctx); err != nil {
		return err
	}
	if err := a.loadMailer(ctx); err != nil {
		return err
	}
	return a.loadGateways(ctx)
}

func (a *App) loadStore(ctx caddy.Context) (err error) {
	var mod any
	if a.StoreRaw != nil {
		mod, err = ctx.LoadModule(a, "StoreRaw")
	} else {
		mod, err = ctx.LoadModuleByID("threepid.stores.badger", nil)
	}
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	var ok bool
	if a.store, ok = mod.(guest.Store); !ok {
		return fmt.Errorf("store: module %T is not a store", mod)
	}
	return nil
}

func (a *App) loadMailer(ctx caddy.Context) (err error) {
	if a.NoEmail {
		if a.MailerRaw != nil {
			return errors.New("mailer: is of no use with no_email; leave one of them out")
		}
		return nil
	}
	a.defaultMailer = a.MailerRaw == nil // loading a module empties its field
	var mod any
	if a.defaultMailer {
		mod, err = ctx.LoadModuleByID("threepid.mailers.file", nil)
	} else {
		mod, err = ctx.LoadModule(a, "MailerRaw")
	}
	if err != nil {
		return fmt.Errorf("mailer: %w", err)
	}
	var ok bool
	if a.mailer, ok = mod.(guest.Mailer); !ok {
		return fmt.Errorf("mailer: module %T is not a mailer", mod)
	}
	return nil
}

// loadGateways loads the guest modules.
func (a *App) loadGateways(ctx caddy.Context) error {
	if a.SMS == nil || len(a.SMS.SendersRaw) == 0 {
		return nil
	}
	mods, err := ctx.LoadModule(a.SMS, "SendersRaw")
	if err != nil {
		return fmt.Errorf("sms sender: %w", err)
	}
	a.gateways = map[string]guest.SMSGateway{}
	for name, mod := range mods.(map[string]any) {
		gateway, ok := mod.(guest.SMSGateway)
		if !ok {
			return fmt.Errorf("sms sender %s: module %T is not a sender", name, mod)
		}
		a.gateways[name] = gateway
	}
	return nil
}

// moduleID is the ID of a guest.
func moduleID(g any) caddy.ModuleID {
	if m, ok := g.(caddy.Module); ok {
		return m.CaddyModule().ID
	}
	return ""
}

// guestName is what comes after the name space in a module's ID.
func guestName(g any, namespace string) string {
	return strings.TrimPrefix(string(moduleID(g)), namespace)
}
