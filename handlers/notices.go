// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/caddy-threepid/caddy-threepid/handlers/internal/hsapi"
	"github.com/caddy-threepid/caddy-threepid/handlers/internal/report"
	"github.com/caddy-threepid/caddy-threepid/handlers/internal/wire"
	"github.com/caddy-threepid/caddy-threepid/internal/address"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// The addresses of an account are told when its password was reset here, when it
// has got an address, and when it has lost one: whoever takes an account has to
// do one of these, and its owner finds it in their mail. See package
// verification, Notify, for what a notice may be.
//
// Only an address is told that was proven here for this very request, or that the
// homeserver itself has listed for the account, before the change. After a reset
// nobody has a token to ask for that list with, so then it is the proven one.

// noticeWait is how long an answer waits for its notices to be written. That
// takes a few milliseconds, and then nothing is lost when the process dies. What
// takes longer goes on beside it.
const noticeWait = 250 * time.Millisecond

// readersOfAddition are those to be told of a new address. One that the account
// had already is not new.
func readersOfAddition(before []threepid.ThreePID, added threepid.ThreePID) []verification.Reader {
	if slices.Contains(before, added) {
		return nil
	}
	list := readerOf(added, verification.NoticeNew)
	for _, t := range before {
		list = append(list, readerOf(t, verification.NoticeAdded)...)
	}
	return list
}

// Removed tells of an address that was removed from an account. One that the account does
// not have was not.
func (n *notices) Removed(r *http.Request, who *hsapi.Account, removed threepid.ThreePID) {
	if !n.any() || !slices.Contains(who.Listed, removed) {
		return
	}
	list := readerOf(removed, verification.NoticeGone)
	for _, t := range who.Listed {
		if t != removed {
			list = append(list, readerOf(t, verification.NoticeRemoved)...)
		}
	}
	n.tell(r, who, list)
}

// readerOf is the reader at an address, if it is one of email: a text message
// costs money each time, and says less.
func readerOf(t threepid.ThreePID, notice verification.Notice) []verification.Reader {
	if t.Medium != threepid.Email {
		return nil
	}
	canonical, err := address.Email(t.Address)
	if err != nil {
		return nil // nobody can be reached there
	}
	return []verification.Reader{{Address: canonical, Notice: notice}}
}

// notices tell the addresses of accounts.
type notices struct {
	cfg *Config
	svc *verification.Service
	obs report.Observer
}

// any reports whether anybody is told at all.
func (n *notices) any() bool { return !n.cfg.NoNotices && !n.cfg.NoEmail }

const actionNotified = "notified"

// tell puts notices into the outbox. It neither fails nor holds up the request
// that they are about.
func (n *notices) tell(r *http.Request, who *hsapi.Account, readers []verification.Reader) {
	if len(readers) == 0 {
		return
	}
	happened := verification.Happened{Origin: n.cfg.originOf(r)}
	if who != nil {
		happened.Account = who.User
	}
	happened.Language, happened.Brand = n.cfg.languageOf(r), n.cfg.brandOf(r)
	ctx, cancel := wire.Detached(r.Context(), wire.SettleTime)
	r = r.WithContext(ctx) // the original goes on without us
	done := make(chan struct{})
	go func() {
		defer cancel()
		defer close(done)
		n.notify(ctx, r, happened, readers)
	}()
	timer := time.NewTimer(noticeWait)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
	}
}

// notify does it, and reports what has become of it.
func (n *notices) notify(ctx context.Context, r *http.Request, happened verification.Happened, readers []verification.Reader) {
	readers = slices.DeleteFunc(readers, func(reader verification.Reader) bool { return n.cfg.unwanted(ctx, reader) })
	if len(readers) == 0 {
		return
	}
	change := report.Change{Action: actionNotified, Medium: threepid.Email, Address: n.svc.Pseudonym(readers[0].Address)}
	if happened.Account != "" {
		change.User = n.svc.Pseudonym(happened.Account)
	}
	err := n.svc.Notify(ctx, happened, readers)
	if limit, ok := errors.AsType[*verification.LimitError](err); ok && limit.Limit == verification.LimitNotices {
		change.Result = "limited"
	} else {
		change.Err = err
	}
	n.obs.Changed(r, change)
}
