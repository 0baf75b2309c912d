// SPDX-License-Identifier: Apache-2.0

package verification

import (
	"context"
	"errors"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
	"github.com/caddy-threepid/caddy-threepid/store"
)

// Where there are decoys, whoever asks for a token is told nothing that they do
// not know: how often they have asked, how long ago, how many tokens they have
// tried. What becomes of a message would be news to them, and so would be what its
// reader thinks of it: of a decoy the reader gets one message a day. So nothing
// here depends on the outbox, nor on what its reader has refused, until somebody
// comes with a token out of the message (ADR 25).

// secretlyRefused reports whether a session looks pending to those who have no
// token, though the owner of the address has refused it: until too many wrong
// tokens were tried, and it has ended for everybody.
func (s *Session) secretlyRefused(discreet bool) bool {
	return discreet && len(s.Lapsed) > 0
}

// now is when a request was made. What it opens ends so long after that, and not
// after the homeserver has decided, which takes longer if it calls back.
func (o *opening) now() time.Time {
	if o.req.Asked != 0 {
		return time.UnixMilli(o.req.Asked)
	}
	return o.svc.now()
}

// put hands a message to the outbox. That it has no room is the operator's
// business, and not told where it would show how many messages wait.
func (o *opening) put(txn store.Txn) error {
	err := o.svc.cfg.Outbox.Put(txn, o.message)
	if _, busy := errors.AsType[interface {
		error
		RetryAfter() time.Duration
	}](err); busy && o.req.Discreet {
		o.mute, err = true, nil
	}
	return err
}

// coolNames are the names under which it is found that a mailbox cools down for
// everybody. Earlier versions have used the address.
func (n naming) coolNames(id threepid.ThreePID) []string {
	return append(n.mailboxNames(mailboxOf(id)), n.addressNames(id)...)
}

// Cooling is how long a message may not go to its address, because its owner has
// said "I did not ask for this". The outbox asks, before it sends. What the owner is
// known to have asked for may go, and a notice: who is bothered by strangers has to learn
// if one of them has succeeded.
func (s *limiter) Cooling(ctx context.Context, m Message) (wait time.Duration, err error) {
	if m.Notice != "" || m.Wanted {
		return 0, nil
	}
	err = s.store.View(ctx, limitsPartition, func(txn store.Txn) (err error) {
		wait, err = s.cooling(txn, m.ThreePID(), []uint64{m.By})
		return err
	})
	return wait, err
}
