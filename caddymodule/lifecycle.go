// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-threepid/caddy-threepid/handlers"
	"github.com/caddy-threepid/caddy-threepid/handlers/pages"
	"github.com/caddy-threepid/caddy-threepid/internal/feedback"
	"github.com/caddy-threepid/caddy-threepid/internal/feedback/lmtp"
	"github.com/caddy-threepid/caddy-threepid/internal/identityserver"
	"github.com/caddy-threepid/caddy-threepid/internal/keyring"
	"github.com/caddy-threepid/caddy-threepid/internal/mail"
	"github.com/caddy-threepid/caddy-threepid/internal/outbound"
	"github.com/caddy-threepid/caddy-threepid/internal/outbox"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// errUnloaded is what a request gets that reaches a configuration which never
// served one and is gone.
var errUnloaded = errors.New("the configuration was unloaded")

// outboxDrain is how long deliveries in flight may take after a configuration
// was stopped. It is longer than any of them. Nobody waits for it but the store,
// if it is to be closed, and not for long.
const outboxDrain = mail.DefaultHandoverTimeout + time.Minute

// runtime is what a started configuration works with.
type runtime struct {
	key     any // of the pool
	store   *sharedStore
	keys    *keyring.Ring
	service *verification.Service
	client  *handlers.Client
	outbox  *outbox.Outbox
	sending bool
	sender  *outbox.MailSender // nil: no mail
	phones  *phoneService      // nil: no phone numbers

	suppression *feedback.Suppression
	tags        feedback.Tags
	intake      *feedback.Intake
	webhooks    map[string]http.Handler // by provider
	receipts    map[string]http.Handler // by sender
	lmtp        *lmtp.Server            // nil: bounces do not come by mail
}

// Start opens the store and starts the deliveries. An error rejects the
// configuration, and the one before it stays in force.
func (a *App) Start() error {
	rt, err := a.open()
	if err != nil {
		return err
	}
	a.started.Store(true)
	a.tell()
	if s, ok := a.mailer.(Starter); ok {
		if err := s.Start(); err != nil {
			return fmt.Errorf("start mailer: %w", err)
		}
	}
	if signing, ok := a.mailer.(MailSigner); ok && rt.sender != nil {
		rt.sender.DKIM = signing.Signer() // known since the mailer was started
	}
	if err := a.startGateways(); err != nil {
		return err
	}
	if err := a.startLMTP(rt); err != nil {
		return err
	}
	if len(rt.keys.Keys()) > 1 {
		a.resealLater(rt) // the process may have died over it
	}
	if a.mailer == nil && rt.phones == nil {
		// Messages that wait are kept for a configuration that can send them.
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	rt.sending = true
	if rt.phones != nil {
		spending.Store(rt)
	}
	rt.outbox.Start()
	rt.store.addOutbox(rt.outbox)
	return nil
}

// open returns the runtime, and makes it if this is the first call: by Start,
// or by a request when the HTTP server was started before this app.
func (a *App) open() (*runtime, error) {
	if rt := a.running.Load(); rt != nil {
		return rt, nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if rt := a.running.Load(); rt != nil {
		return rt, nil
	}
	if a.closed {
		return nil, errUnloaded
	}
	rt, err := a.newRuntime()
	if err != nil {
		return nil, err
	}
	a.running.Store(rt)
	return rt, nil
}

// newRuntime does all the I/O of starting. When it fails it has given back what
// it had taken.
func (a *App) newRuntime() (*runtime, error) {
	key, shared, err := a.acquire()
	if err != nil {
		return nil, err
	}
	rt := &runtime{key: key, store: shared, keys: shared.keys}
	if err := a.assemble(rt); err != nil {
		return nil, errors.Join(err, releaseStore(key))
	}
	return rt, nil
}

func (a *App) assemble(rt *runtime) error {
	obs := &observer{logger: a.logger}
	senders := map[verification.Medium]outbox.Sender{}
	if a.mailer != nil {
		sender := a.sender(rt.keys)
		if err := sender.Check(); err != nil {
			return fmt.Errorf("compose a sample mail: %w", err)
		}
		senders[verification.Email] = sender
		rt.sender = sender
	}
	if err := a.assemblePhones(rt); err != nil {
		return err
	}
	if rt.phones != nil {
		senders[verification.MSISDN] = rt.phones.sender
	}
	_, embedded := a.store.(*BadgerStore)
	rt.outbox = outbox.New(outbox.Config{
		Store: rt.store, Keys: rt.keys, Observer: obs, Senders: senders, MaxQueued: a.settings.maxQueued,
		Sole: embedded, Suppressed: rt.suppressed,
	})
	domain := a.settings.domain
	domain.Store, domain.Keys, domain.Observer = rt.store, rt.keys, obs
	domain.Outbox = relay{rt.outbox, rt.store}
	var err error
	if rt.service, err = verification.NewService(domain); err != nil {
		return err
	}
	rt.explain(senders)
	if err := a.assembleFeedback(rt); err != nil {
		return err
	}
	servers := identityserver.New(identityserver.Options{Outbound: outbound.Options{Allow: a.settings.labs}})
	http := a.settings.http
	http.Emails, http.Operator = &emailRules{app: a, service: rt.service}, operator{a}
	if rt.phones != nil {
		phones := *http.Phones
		phones.Guard, http.Phones = rt.phones.guard, &phones
	}
	rt.client = handlers.NewClient(http, rt.service, servers, obs)
	return rt.client.SetPages(a.pages())
}

// pages are the words and the looks of pages.
func (a *App) pages() handlers.PageOptions {
	return handlers.PageOptions{Words: pages.FromTemplates(a.settings.templates), Looks: a.settings.looks}
}

// unavailable answers what is ours while there is no runtime.
func (a *App) unavailable() (http.Handler, error) {
	return handlers.NewUnavailable(a.settings.http, a.pages())
}

// coolingDown is why nothing goes to an address whose owner has refused a message.
const coolingDown = "its owner wants no messages for now"

// suppressed asks whether the owner of an address wants no messages, and the
// suppression list. Both are made after the outbox, and there before the first
// message.
func (rt *runtime) suppressed(ctx context.Context, m verification.Message) (string, error) {
	if wait, err := rt.service.Cooling(ctx, m); err != nil || wait > 0 {
		return coolingDown, err
	}
	entry, listed, err := rt.suppression.Lookup(ctx, m.Medium, m.Address)
	if err != nil || !listed {
		return "", err
	}
	return string(entry.Reason), nil
}

func (a *App) sender(keys *keyring.Ring) *outbox.MailSender {
	publicURL := a.settings.http.PublicURL
	return &outbox.MailSender{
		From: a.mailer.From(), Transport: a.mailer, Templates: a.settings.templates, Keys: keys,
		Link:   func(sid, token string) string { return pages.Link(publicURL, sid, token) },
		Page:   func(sid string) string { return pages.Link(publicURL, sid, "") },
		Refuse: func(sid, refusal string) string { return pages.RefuseLink(publicURL, sid, refusal) },
		Bounce: a.bounce(keys),
		Tag:    a.providerTag(keys),
	}
}

// providerTag makes the tag for mail services that do not hand back the sender
// in the envelope.
func (a *App) providerTag(keys *keyring.Ring) func(verification.Message) string {
	l := a.settings.feedback
	if l.postmark == (Credentials{}) && l.sendgrid == "" {
		return nil
	}
	tags := feedback.NewTags(keys)
	return func(m verification.Message) string {
		tag, _ := tags.Make(m.SID) // a sample has none
		return tag
	}
}

// bounce makes the envelope sender of each message, if bounces have a place to
// come back to.
func (a *App) bounce(keys *keyring.Ring) func(verification.Message) string {
	verp := a.settings.feedback.verp
	if verp == (feedback.VERP{}) {
		return nil
	}
	tags := feedback.NewTags(keys)
	return func(m verification.Message) string {
		tag, err := tags.Make(m.SID)
		if err != nil {
			return verp.Prefix + "@" + verp.Domain // a sample
		}
		return verp.Address(tag)
	}
}

// Stop ends the deliveries. Those in flight hold the store until they are done;
// what is left is for the next configuration's outbox.
func (a *App) Stop() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.stopSending()
	return nil
}

// validated reports whether this is the end of `caddy validate`: Caddy has set up
// all apps, started none, and now takes the configuration away. It has no other
// way to tell a module of that.
func (a *App) validated() bool {
	if a.ended == nil || a.started.Load() || a.running.Load() != nil {
		return false
	}
	cause := a.ended()
	return cause != nil && cause.Error() == "validation complete"
}

// stopSending does not wait: a relay that hangs must not hold up a reload. The
// goroutine ends with the last send, each of which has a deadline.
func (a *App) stopSending() {
	rt := a.running.Load()
	if rt != nil && rt.lmtp != nil {
		_ = rt.lmtp.Close() // what it has accepted is done
	}
	if rt == nil || !rt.sending {
		return
	}
	rt.sending = false
	spending.CompareAndSwap(rt, nil)
	rt.store.removeOutbox(rt.outbox)
	release := rt.store.hold()
	go func() {
		defer release()
		ctx, cancel := context.WithTimeout(context.Background(), outboxDrain)
		defer cancel()
		if err := rt.outbox.Stop(ctx); err != nil {
			a.logger.Warn("deliveries did not end in time", zap.Error(err))
		}
	}()
}

// Cleanup gives the store back. It is also called when Provision or Start have
// failed, and may be called again.
func (a *App) Cleanup() error {
	if a.validated() {
		a.tell()
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.closed = true
	a.stopSending()
	rt := a.running.Load()
	if rt == nil || a.released {
		return nil
	}
	// A request that comes now still finds the runtime, and works as long as
	// another configuration keeps the same store open.
	a.released = true
	return releaseStore(rt.key)
}
