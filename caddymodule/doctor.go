// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddypki"

	"github.com/caddy-threepid/caddy-threepid/internal/doctor"
	"github.com/caddy-threepid/caddy-threepid/internal/instance"
)

// Examination is what the doctor needs to look at the running configuration.
func (a *App) Examination(ctx caddy.Context, inst *instance.Instance) doctor.Options {
	o := inst.Examination()
	o.Wiring, o.Admin = a.wirings, adminPlace(ctx)
	roots := trustedRoots(ctx)
	o.IdentityRoots = roots
	// public_url may be served by `tls internal` on a laptop.
	o.Client = &http.Client{Transport: transportWith(roots)}
	if a.Templates != "" {
		o.Templates = func(context.Context) []doctor.TemplateProblem { return a.templateProblems() }
	}
	a.examineList(&o)
	return o
}

// templateProblems loads the operator's templates as the next reload will: they
// may have been changed since this configuration was loaded.
func (a *App) templateProblems() []doctor.TemplateProblem {
	e := newExpander()
	a.loadWords(e, &settings{Config: instance.Config{HTTP: a.settings.HTTP}})
	problems := make([]doctor.TemplateProblem, 0, len(e.Faults()))
	for _, fault := range e.Faults() {
		problems = append(problems, doctor.TemplateProblem{File: a.Templates, Problem: fault.Error(), Fatal: true})
	}
	return problems
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

// transportWith makes a transport for the doctor's own requests.
func transportWith(roots *x509.CertPool) *http.Transport {
	return &http.Transport{
		TLSClientConfig:        &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    10 * time.Second,
		ResponseHeaderTimeout:  30 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
		DisableKeepAlives:      true,
	}
}
