// SPDX-License-Identifier: Apache-2.0

// Package doubles has what suites without a Caddy put around our handlers: an outbox
// whose mails arrive at once, identity servers that there are not, and nobody who observes.
package doubles

import (
	"context"
	"io"
	"net/http"
	"slices"
	"sync"

	"github.com/caddy-threepid/caddy-threepid/handlers"
	"github.com/caddy-threepid/caddy-threepid/internal/identityserver"
	"github.com/caddy-threepid/caddy-threepid/internal/outbound"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
	"github.com/caddy-threepid/caddy-threepid/store"
)

// Inbox is all mailboxes; mails arrive when they are sent.
type Inbox struct {
	mu    sync.Mutex
	mails []verification.Message
}

// Put delivers a mail.
func (b *Inbox) Put(_ store.Txn, m verification.Message) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.mails = append(b.mails, m)
	return nil
}

// Wake has nothing to do.
func (b *Inbox) Wake(store.Partition, string) {}

// Mails are all of them so far.
func (b *Inbox) Mails() []verification.Message {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.mails)
}

// Last is the newest mail. There has to be one.
func (b *Inbox) Last() verification.Message {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.mails[len(b.mails)-1]
}

// Of is the newest mail of a session, or none.
func (b *Inbox) Of(sid string) (found verification.Message) {
	for _, m := range b.Mails() {
		if m.SID == sid {
			found = m
		}
	}
	return found
}

// NoServers is a world in which we can reach no identity server.
type NoServers struct{}

func (NoServers) Bind(context.Context, outbound.Name, string, identityserver.Bind) (identityserver.Bound, error) {
	return identityserver.Bound{}, io.ErrUnexpectedEOF
}

func (NoServers) Proven(context.Context, outbound.Name, string, string, string) (identityserver.Bound, error) {
	return identityserver.Bound{}, io.ErrUnexpectedEOF
}

func (NoServers) Unbind(context.Context, outbound.Name, identityserver.Unbind) error {
	return io.ErrUnexpectedEOF
}
func (NoServers) Probe(context.Context, outbound.Name) error { return io.ErrUnexpectedEOF }

// Silent observes nothing.
type Silent struct{}

func (Silent) Request(*http.Request, handlers.Event)  {}
func (Silent) Changed(*http.Request, handlers.Change) {}
