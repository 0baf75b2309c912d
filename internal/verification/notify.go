// SPDX-License-Identifier: Apache-2.0

package verification

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/provenance"
	"github.com/caddy-threepid/caddy-threepid/internal/ratelimit"
	"github.com/caddy-threepid/caddy-threepid/internal/sealed"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
	"github.com/caddy-threepid/caddy-threepid/store"
)

// A notice tells an address of what has happened to its account. It carries no
// token and no link that acts, so nothing hangs on who reads it. Its session is
// one that has ended before it began: it is there so that a bounce, the operator
// and [Service.Forget] find what they find of any other message.

// Notice is what is told.
type Notice string

// The notices.
const (
	// NoticePassword: the password was reset, by a proof of this address.
	NoticePassword Notice = "password"
	// NoticeAdded: the account has got another address.
	NoticeAdded Notice = "added"
	// NoticeNew: the account has got this address.
	NoticeNew Notice = "new"
	// NoticeRemoved: the account has lost another address.
	NoticeRemoved Notice = "removed"
	// NoticeGone: the account has lost this address.
	NoticeGone Notice = "gone"
)

// Notices are all of them.
var Notices = []Notice{NoticePassword, NoticeAdded, NoticeNew, NoticeRemoved, NoticeGone}

// The limits of notices. They are apart from those of requests, which strangers
// can use up, and each notice has its own, so that whoever has taken an account
// cannot use up the one that gives them away by making others. The budget is as
// large as that of requests.
var (
	noticesPerMailbox = ratelimit.Limit{Burst: 3, Per: 24 * time.Hour}
	noticesPerAccount = ratelimit.Limit{Burst: 10, Per: 24 * time.Hour}
)

const (
	// MaxNotified bounds how many addresses are told of one change.
	MaxNotified = 10
	// noticeLifetime is how long a notice may be late: it is worth reading also
	// when the relay was down for hours.
	noticeLifetime = MaxLifetime
)

// LimitNotices is one of the limits of notices.
const LimitNotices ratelimit.Kind = "notices"

// Happened is a change of an account.
type Happened struct {
	// Account is whose it is, or empty where nobody says; it is counted, and not
	// stored.
	Account string
	// Language is that of whoever made the change, for readers of whom none is
	// known.
	Language string
	Brand    string
	Origin   provenance.Origin
}

// Reader is an email address, in canonical form, and what it is told.
type Reader struct {
	Address string
	Notice  Notice
}

func (r Reader) mailbox() mailboxID {
	return mailboxOf(threepid.ThreePID{Medium: threepid.Email, Address: r.Address})
}

// Notify puts the notices of a change into the outbox. What a limit holds back is
// not sent later; it is a LimitError. Each reader is told as far as possible,
// whatever becomes of the others, and the error is about all of them.
func (s *Service) Notify(ctx context.Context, h Happened, readers []Reader) error {
	readers = s.distinct(readers)
	errs := make([]error, len(readers))
	admitted := map[Notice]error{}
	for i, r := range readers {
		err, known := admitted[r.Notice]
		if !known {
			err = s.admitNotice(ctx, h, r.Notice)
			admitted[r.Notice] = err
		}
		if err == nil {
			err = s.notify(ctx, h, r)
		}
		errs[i] = err
	}
	return verdict(errs)
}

// verdict is the failures, and if there are none a limit that was met.
func verdict(errs []error) error {
	limited := func(err error) bool {
		_, ok := errors.AsType[*LimitError](err)
		return ok
	}
	if failed := slices.DeleteFunc(slices.Clone(errs), limited); errors.Join(failed...) != nil {
		return errors.Join(failed...)
	}
	return errors.Join(errs...)
}

// admitNotice counts a change against its account, if it is one that the other
// addresses are told of. What the address itself is told that the change is about
// is not counted there: a thief would use it up with addresses of their own.
func (s *limiter) admitNotice(ctx context.Context, h Happened, notice Notice) error {
	if h.Account == "" || notice != NoticeAdded && notice != NoticeRemoved {
		return nil
	}
	return s.spend(ctx, ratelimit.Cell{
		Limit: noticesPerAccount, Kind: LimitNotices, Share: 1,
		Names: s.keys.HashTexts("limit notices of account", string(notice), h.Account),
	})
}

// distinct leaves one of the readers who have the same mailbox, in their order.
func (s *Service) distinct(readers []Reader) []Reader {
	var list []Reader
	for _, r := range readers {
		if !slices.ContainsFunc(list, func(l Reader) bool { return l.mailbox() == r.mailbox() }) {
			list = append(list, r)
		}
	}
	return list[:min(len(list), MaxNotified)]
}

// noticeMailbox is the limit of one notice for one mailbox.
func (s *limiter) noticeMailbox(notice Notice, of mailboxID) ratelimit.Cell {
	return ratelimit.Cell{
		Limit: noticesPerMailbox, Kind: LimitNotices, Share: 1,
		Names: s.noticeNames(notice, of),
	}
}

func (n naming) noticeNames(notice Notice, of mailboxID) []string {
	return n.keys.HashTexts("limit notices of mailbox", string(notice), of.Address)
}

func (s *Service) notify(ctx context.Context, h Happened, r Reader) error {
	cells := []ratelimit.Cell{s.noticeMailbox(r.Notice, r.mailbox())}
	if !s.cfg.Messages.Off() {
		cells = append(cells, ratelimit.Cell{
			Limit: s.cfg.Messages, Kind: LimitNotices, Share: 1, Names: s.keys.HashTexts("limit notices", string(r.Notice)),
		})
	}
	if err := s.spend(ctx, cells...); err != nil {
		return err
	}
	err := s.commitNotice(ctx, h, r)
	if err != nil {
		for i := range cells {
			cells[i].Refund = cells[i].Limit.Cost(1)
		}
		_ = s.giveBack(context.WithoutCancel(ctx), cells...)
	}
	return err
}

// commitNotice writes a notice, and the session that it is found by.
func (s *Service) commitNotice(ctx context.Context, h Happened, r Reader) error {
	p := sealed.PartitionOf(s.keys.HashText("notice", r.Address))
	sid, err := s.ids.sid(p)
	if err != nil {
		return err
	}
	language := s.languageOf(ctx, threepid.ThreePID{Medium: threepid.Email, Address: r.Address})
	if language == "" {
		language = h.Language
	}
	now := s.now()
	session := &Session{
		SID: sid, Purpose: threepid.Notified, Medium: threepid.Email, Address: r.Address, State: Revoked, Sends: 1,
		Until: now.Add(noticeLifetime).UnixMilli(), Language: language, Brand: h.Brand, Created: now.UnixMilli(), Origin: h.Origin,
	}
	message := Message{
		ID: messageID(sid, session.Sends), SID: sid, Purpose: threepid.Notified, Medium: threepid.Email, Address: r.Address,
		Language: language, Brand: h.Brand, Created: now, Expires: now.Add(noticeLifetime),
		Origin: h.Origin, Notice: r.Notice,
	}
	err = s.store.Update(ctx, p, func(txn store.Txn) error {
		if err := s.cfg.Outbox.Put(txn, message); err != nil {
			return err
		}
		return s.putSession(txn, session)
	})
	if err != nil {
		return err
	}
	s.cfg.Outbox.Wake(p, message.ID)
	return nil
}
