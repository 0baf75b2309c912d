// SPDX-License-Identifier: Apache-2.0

package instance

import (
	"cmp"
	"context"
	"net"
	"slices"
	"strings"

	"github.com/caddy-threepid/caddy-threepid/caddymodule/guest"
	"github.com/caddy-threepid/caddy-threepid/internal/doctor"
	"github.com/caddy-threepid/caddy-threepid/internal/keycheck"
	"github.com/caddy-threepid/caddy-threepid/internal/keyring"
	"github.com/caddy-threepid/caddy-threepid/internal/mail"
)

// Examination is what the doctor needs to look at the instance. What only the server
// around it knows is for the caller to fill in.
func (i *Instance) Examination() doctor.Options {
	_, relays := i.cfg.Mailer.(guest.Relays)
	o := doctor.Options{
		Config:       &doctor.Config{NoMailer: !relays, NoChecks: !i.cfg.HTTP.Callback},
		Resolver:     net.DefaultResolver,
		PublicURL:    i.cfg.HTTP.PublicURL,
		Prove:        i.Service.ProbeAnswer,
		Homeserver:   i.cfg.Homeserver,
		IdentityName: i.cfg.HTTP.IdentityName,
		KeyFile:      &doctor.KeyFile{Path: i.cfg.KeyFile},
		Store:        &doctor.Store{Name: i.cfg.StoreID, Ping: i.Service.Ping},
		Outbox:       i.outboxHealth,
	}
	if !i.cfg.HTTP.NativeReset && !i.cfg.HTTP.NoEmail {
		o.FaceCalls = faceCalls.Load // no other request shows it
	}
	if embedded, ok := i.cfg.Store.(guest.Embedded); ok {
		o.KeyFile.StorePath = embedded.Folder()
		o.Store.Free = embedded.Free
	}
	i.examineKeys(&o)
	i.examineMail(&o)
	return o
}

// examineKeys tells the doctor how key file, store and server stand to each other.
func (i *Instance) examineKeys(o *doctor.Options) {
	o.KeyFile.State = func(ctx context.Context) (doctor.KeyState, error) {
		onDisk, err := keyring.Load(i.cfg.KeyFile)
		if err != nil {
			return doctor.KeyState{}, err
		}
		record, err := keycheck.Read(ctx, i.Store, i.Keys)
		return doctor.KeyState{Other: !onDisk.Knows(i.Keys), Copied: !record.Saved.IsZero()}, err
	}
	o.Store.Age = func(ctx context.Context) (doctor.StoreAge, error) {
		record, err := keycheck.Read(ctx, i.Store, i.Keys)
		oldest := slices.MinFunc(i.Keys.Keys(), func(a, b keyring.KeyInfo) int { return a.Since.Compare(b.Since) })
		return doctor.StoreAge{Begun: record.Begun, Keys: oldest.Since}, err
	}
}

// outboxHealth is the state of the queue in the doctor's words.
func (i *Instance) outboxHealth(ctx context.Context) (doctor.OutboxStatus, error) {
	status, err := i.Store.Outbox.Status(ctx)
	if err != nil {
		return doctor.OutboxStatus{}, err
	}
	health := doctor.OutboxStatus{Max: status.MaxQueued, Oldest: status.Oldest}
	for _, n := range status.Waiting {
		health.Depth += n
	}
	for _, relay := range i.Relays() {
		r := doctor.RelayStatus{Name: relay.Name, Stopped: relay.State == guest.LeftOut}
		if relay.Failing {
			r.LastError = cmp.Or(relay.LastError, "it took none of the last ones") + said(relay.LastReply)
		}
		health.Relays = append(health.Relays, r)
	}
	return health, nil
}

// said is what a relay said, to be read after its fault.
func said(reply string) string {
	if reply == "" {
		return ""
	}
	return ", it said: " + reply
}

// examineMail adds the relays and the sender's domain.
func (i *Instance) examineMail(o *doctor.Options) {
	relayed, ok := i.cfg.Mailer.(guest.Relays)
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
	_, sender, err := mail.Sender(i.cfg.Mailer.From())
	if err != nil {
		return
	}
	domain := doctor.Domain{
		From: sender[strings.LastIndexByte(sender, '@')+1:], Envelope: i.cfg.Feedback.VERP.Domain, RelayHosts: hosts,
	}
	if k := signerOf(i.cfg.Mailer); k != nil {
		domain.DKIM = &doctor.DKIM{Domain: k.Domain, Selector: k.Selector, Key: k.Signer.Public()}
	}
	o.Domains = append(o.Domains, domain)
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
