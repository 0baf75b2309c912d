// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"context"
	"net/url"
)

// plan lists the checks that have their input. Groups run at the same time, the
// checks of a group one after the other.
func (s *session) plan() [][]check {
	o := s.opts
	var groups [][]check
	alone := func(name, subject, good string, run func(context.Context, *results)) {
		groups = append(groups, []check{{name, subject, good, func(ctx context.Context, r *results) bool {
			run(ctx, r)
			return true
		}}})
	}
	if o.Config != nil {
		alone(checkConfig, "", "The configuration has nothing that needs a second look.", s.config)
	}
	if o.Wiring != nil {
		alone(checkWiring, "", "The sites are put together as they should be.", s.wiring)
	}
	for _, relay := range o.Relays {
		alone(checkRelay, relay.Name, "The relay takes our mail: connection, TLS, log-in and sender are accepted.", relay.examine)
	}
	if o.Resolver != nil {
		for _, d := range o.Domains {
			s.planDomain(d, alone)
		}
	}
	if o.Templates != nil {
		alone(checkTemplates, "", "All templates can be used.", s.templates)
	}
	if o.Outbox != nil {
		alone(checkOutbox, "", "No message has been waiting for long.", s.outbox)
	}
	if o.IdentityName != "" {
		alone(checkIdentity, o.IdentityName, "The site answers, and its certificate is good.", s.identity)
	}
	if o.Store != nil {
		s.planStore(*o.Store, alone)
	}
	if o.KeyFile != nil {
		alone(checkKeyFile, o.KeyFile.Path, "The file belongs to us, and nobody else can read it.", s.keyFile)
	}
	if o.DomainList != nil {
		alone(checkList, o.DomainList.Path, "The list is in force, and not old.", s.domainList)
	}
	if o.Admin != nil {
		alone(checkAdmin, clean(o.Admin.subject()), "The admin endpoint is a socket that is not open to everybody.", o.Admin.examine)
	}
	if way := s.planWay(); len(way) > 0 {
		groups = append(groups, way)
	}
	return groups
}

// planDomain plans what is asked of the domain name system.
func (s *session) planDomain(d Domain, alone func(name, subject, good string, run func(context.Context, *results))) {
	d = d.normalized()
	if d.From == "" {
		return
	}
	l := lookup{s.opts.Resolver}
	alone(checkMX, d.Envelope, "The domain receives mail, so bounces arrive.", func(ctx context.Context, r *results) { l.mx(ctx, r, d) })
	alone(checkSPF, d.Envelope, "The SPF record is in order.", func(ctx context.Context, r *results) { l.spf(ctx, r, d) })
	alone(checkDKIM, d.From, "The DKIM key is published.", func(ctx context.Context, r *results) { l.dkim(ctx, r, d) })
	alone(checkDMARC, d.From, "The DMARC record is in order, and our mail passes it.", func(ctx context.Context, r *results) { l.dmarc(ctx, r, d) })
}

func (s *session) planStore(store Store, alone func(name, subject, good string, run func(context.Context, *results))) {
	if store.Ping != nil {
		alone(checkStore, store.Name, "The store answers.", func(ctx context.Context, r *results) {
			store.ping(ctx, r)
			s.storeAge(ctx, store, r)
		})
	}
	if store.Free != nil {
		alone(checkDisk, store.Name, "There is room left.", store.disk)
	}
}

// planWay plans the way of a client: to this module and through it to the
// homeserver. Each step goes through the one before.
func (s *session) planWay() []check {
	o := s.opts
	if o.PublicURL == "" {
		return nil
	}
	subject := o.PublicURL
	if u, err := url.Parse(subject); err == nil {
		subject = u.Redacted()
	}
	var way []check
	if o.Prove != nil {
		way = append(way, check{checkPublicURL, subject, "The public URL reaches this module.", s.publicURL})
	}
	way = append(way, check{checkVersions, subject, "The homeserver answers, and clients are told that they need no identity server.", s.versions})
	if o.IdentityName != "" && o.FaceCalls != nil {
		way = append(way, check{checkTrust, o.IdentityName, "The homeserver trusts us as its identity server, and reaches us.", s.trust})
	}
	return way
}
