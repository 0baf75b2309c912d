// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/caddy-threepid/caddy-threepid/handlers"
	"github.com/caddy-threepid/caddy-threepid/internal/delivery"
	"github.com/caddy-threepid/caddy-threepid/internal/delivery/templates"
	"github.com/caddy-threepid/caddy-threepid/internal/keyring"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
	"github.com/caddy-threepid/caddy-threepid/store"
)

// stores are the open databases of this process, by canonical place. A reload
// starts the new configuration before it stops the old one, and a database is
// held by a lock that even its own process cannot take twice.
var stores = caddy.NewUsagePool()

// pooledStore is a database in the pool, with everything that cannot change
// while it is open.
type pooledStore struct {
	store.Store
	options string
}

// Destruct closes the database when its last user is gone.
func (p *pooledStore) Destruct() error { return p.Close() }

// runtime is what an app has once it is started.
type runtime struct {
	poolKey string
	svc     *verification.Service
	outbox  *delivery.Outbox
	client  *handlers.Client
}

// drainTime bounds how long a configuration that ends waits for the mails that
// are being sent. What is left is sent by the next one.
const drainTime = 10 * time.Second

var errReleased = errors.New("this configuration is no longer in use")

// Start opens the store. An error rejects the configuration, and the old one
// stays.
func (a *App) Start() error {
	if _, err := a.start(); err != nil {
		return err
	}
	if m, ok := a.mailer.(interface{ Describe() []zap.Field }); ok {
		a.logger.Info("mail is ready", m.Describe()...)
	}
	return nil
}

// Stop does nothing: requests of this configuration may still be running.
// What there is to release is released in Cleanup, which Caddy calls even
// when Start has failed.
func (*App) Stop() error { return nil }

// start opens what is needed, once. Caddy starts apps in no particular order,
// so the first request may come before Start.
func (a *App) start() (*runtime, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.released {
		return nil, errReleased
	}
	if a.runtime != nil {
		return a.runtime, nil
	}
	keys, err := keyring.LoadOrCreate(a.keyFile)
	if err != nil {
		return nil, err
	}
	key, err := a.store.PoolKey()
	if err != nil {
		return nil, fmt.Errorf("find the store: %w", err)
	}
	opened, err := a.openStore(key)
	if err != nil {
		return nil, err
	}
	rt, err := a.assemble(keys, opened)
	if err != nil {
		_, delErr := stores.Delete(key)
		return nil, errors.Join(err, delErr)
	}
	rt.poolKey = key
	rt.outbox.Start()
	a.runtime = rt
	return rt, nil
}

func (a *App) openStore(key string) (*pooledStore, error) {
	value, _, err := stores.LoadOrNew(key, func() (caddy.Destructor, error) {
		// Its logger outlives this configuration, like the store itself.
		s, err := a.store.OpenStore(caddy.Log().Named("threepid.store"))
		if err != nil {
			return nil, err
		}
		return &pooledStore{Store: s, options: a.store.FixedOptions()}, nil
	})
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	p, ok := value.(*pooledStore)
	if !ok || p.options != a.store.FixedOptions() {
		_, delErr := stores.Delete(key)
		return nil, errors.Join(errors.New("options of an open store cannot change while it is in use: restart needed"), delErr)
	}
	return p, nil
}

// assemble puts the parts together over an open store.
func (a *App) assemble(keys *keyring.Ring, s store.Store) (*runtime, error) {
	outbox := delivery.New(delivery.Config{
		Store: s, Keys: keys, Observer: &deliveryObserver{logger: a.logger.Named("delivery")},
	})
	if a.mailer != nil {
		sender, err := a.mailSender(keys)
		if err != nil {
			return nil, err
		}
		outbox.SetSender(verification.Email, sender)
	}
	domain := a.domain
	domain.Store, domain.Keys, domain.Outbox = s, keys, outbox
	svc, err := verification.NewService(domain)
	if err != nil {
		return nil, err
	}
	obs := &requestObserver{logger: a.logger.Named("requests")}
	return &runtime{svc: svc, outbox: outbox, client: handlers.NewClient(a.cfg, svc, obs)}, nil
}

func (a *App) mailSender(keys *keyring.Ring) (*delivery.MailSender, error) {
	public, err := url.Parse(a.cfg.PublicURL)
	if err != nil {
		return nil, fmt.Errorf("read public_url: %w", err)
	}
	words, err := templates.New(public.Host)
	if err != nil {
		return nil, err
	}
	return &delivery.MailSender{
		From: a.mailer.From(), Transport: a.mailer, Templates: words, Keys: keys,
		Link: func(sid, token string) string { return handlers.Link(a.cfg.PublicURL, sid, token) },
	}, nil
}

// Cleanup releases what this configuration has acquired, once.
func (a *App) Cleanup() error {
	a.mu.Lock()
	rt := a.runtime
	a.runtime, a.released = nil, true
	a.mu.Unlock()
	var errs []error
	if rt != nil {
		ctx, cancel := context.WithTimeout(context.Background(), drainTime)
		defer cancel()
		if err := rt.outbox.Stop(ctx); err != nil {
			errs = append(errs, fmt.Errorf("wait for the mails in flight: %w", err))
		}
		if _, err := stores.Delete(rt.poolKey); err != nil {
			errs = append(errs, fmt.Errorf("release store: %w", err))
		}
	}
	if c, ok := a.mailer.(interface{ Close() error }); ok {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}

var (
	_ caddy.App          = (*App)(nil)
	_ caddy.Provisioner  = (*App)(nil)
	_ caddy.CleanerUpper = (*App)(nil)
)
