// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"cmp"
	"context"
	"crypto/x509"
	"net"
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddypki"

	"github.com/caddy-threepid/caddy-threepid/guest"
	"github.com/caddy-threepid/caddy-threepid/internal/doctor"
	"github.com/caddy-threepid/caddy-threepid/internal/mail"
)

// examination is what the doctor needs to look at the running configuration.
func (a *App) examination(ctx caddy.Context, rt *runtime) doctor.Options {
	o := doctor.Options{
		Config:       &doctor.Config{NoMailer: a.MailerRaw == nil && !a.relays(), NoChecks: !a.settings.http.Callback},
		Wiring:       a.wirings,
		Resolver:     net.DefaultResolver,
		PublicURL:    a.settings.http.PublicURL,
		Prove:        rt.service.Proof,
		Homeserver:   a.settings.kind,
		IdentityName: a.settings.http.IdentityName,
		KeyFile:      &doctor.KeyFile{Path: a.settings.keyFile},
		Admin:        adminPlace(ctx),
		Store:        &doctor.Store{Name: string(moduleID(a.store)), Ping: rt.service.Ping},
	}
	if !a.settings.http.NativeReset && !a.NoEmail {
		o.FaceCalls = faceCalls.Load // no other request shows it
	}
	roots := trustedRoots(ctx)
	o.IdentityRoots = roots
	// public_url may be served by `tls internal` on a laptop.
	o.Client = &http.Client{Transport: transportWith(roots)}
	if a.Templates != "" {
		o.Templates = func(context.Context) []doctor.TemplateProblem { return a.templateProblems() }
	}
	o.Outbox = func(ctx context.Context) (doctor.OutboxStatus, error) { return a.outboxHealth(ctx, rt) }
	if embedded, ok := a.store.(guest.Embedded); ok {
		o.KeyFile.StorePath = embedded.Folder()
		o.Store.Free = embedded.Free
	}
	a.examineKeys(&o, rt)
	a.examineList(&o)
	if a.mailer != nil {
		a.examineMail(&o)
	}
	return o
}

// templateProblems loads the operator's templates as the next reload will: they
// may have been changed since this configuration was loaded.
func (a *App) templateProblems() []doctor.TemplateProblem {
	e := newExpander()
	a.loadWords(e, &settings{http: a.settings.http})
	problems := make([]doctor.TemplateProblem, 0, len(e.Faults()))
	for _, fault := range e.Faults() {
		problems = append(problems, doctor.TemplateProblem{File: a.Templates, Problem: fault.Error(), Fatal: true})
	}
	return problems
}

// outboxHealth is the state of the queue in the doctor's words.
func (a *App) outboxHealth(ctx context.Context, rt *runtime) (doctor.OutboxStatus, error) {
	status, err := rt.outbox.Status(ctx)
	if err != nil {
		return doctor.OutboxStatus{}, err
	}
	health := doctor.OutboxStatus{Max: status.MaxQueued, Oldest: status.Oldest}
	for _, n := range status.Waiting {
		health.Depth += n
	}
	for _, relay := range a.relayStates() {
		r := doctor.RelayStatus{Name: relay.Name, Stopped: relay.State == mail.BreakerOpen}
		if relay.Failing {
			r.LastError = cmp.Or(relay.LastError, "it took none of the last ones") + said(relay.LastReply)
		}
		health.Relays = append(health.Relays, r)
	}
	return health, nil
}

// relays reports whether the mailer sends anything at all.
func (a *App) relays() bool {
	_, ok := a.mailer.(guest.Relays)
	return ok
}

// examineMail adds the relays and the sender's domain.
func (a *App) examineMail(o *doctor.Options) {
	relayed, ok := a.mailer.(guest.Relays)
	if !ok {
		return
	}
	hosts := []string{}
	for _, status := range relayed.Status() {
		name := status.Name
		if host, _, err := net.SplitHostPort(name); err == nil {
			hosts = append(hosts, host)
		}
		o.Relays = append(o.Relays, doctor.Relay{Name: name, Check: func(ctx context.Context) []doctor.RelayStep {
			return relaySteps(relayed.Check(ctx), name)
		}})
	}
	if _, sender, err := mail.Sender(a.mailer.From()); err == nil {
		domain := doctor.Domain{
			From: sender[strings.LastIndexByte(sender, '@')+1:], Envelope: a.settings.feedback.verp.Domain, RelayHosts: hosts,
		}
		if signing, ok := a.mailer.(guest.Signer); ok && signing.Signer() != nil {
			k := signing.Signer()
			domain.DKIM = &doctor.DKIM{Domain: k.Domain, Selector: k.Selector, Key: k.Key.Public()}
		}
		o.Domains = append(o.Domains, domain)
	}
}

// relaySteps translates the transport's findings about one relay.
func relaySteps(findings []guest.Finding, relay string) []doctor.RelayStep {
	var steps []doctor.RelayStep
	for _, f := range findings {
		if f.Relay != "" && f.Relay != relay {
			continue
		}
		steps = append(steps, doctor.RelayStep{Step: f.Step, OK: f.OK, Code: doctor.CodeOfReason(f.Code), Detail: f.Detail, Said: f.Said})
	}
	return steps
}

// trustedRoots are the system's certificates and those of our own authorities,
// which sign the site that the homeserver calls.
func trustedRoots(ctx caddy.Context) *x509.CertPool {
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool()
	}
	mod, err := ctx.AppIfConfigured("pki")
	if pki, ok := mod.(*caddypki.PKI); ok && err == nil {
		for _, ca := range pki.CAs {
			if root := ca.RootCertificate(); root != nil {
				roots.AddCert(root)
			}
		}
	}
	return roots
}
