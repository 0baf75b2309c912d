// SPDX-License-Identifier: Apache-2.0

package feedback

import (
	"context"
	"errors"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// Outcome is what was made of a report, or why it was turned away; the set is
// closed, because it labels metrics.
type Outcome string

// The outcomes of a report.
const (
	// Recorded: the session, the suppression list or both were told.
	Recorded Outcome = "recorded"
	// Unresolved: it is about no session that is known (any more), and
	// changed nothing.
	Unresolved Outcome = "unresolved"
	// Mismatch: it names a session and an address that is not that session's.
	Mismatch Outcome = "mismatch"
	// Failed: the store or the sink failed, the sender was asked to repeat.
	Failed Outcome = "failed"
)

// The outcomes of a request or a mail that did not become reports.
const (
	// Ignored: genuine, and about nothing that is of interest here.
	Ignored Outcome = "ignored"
	// Confirmed: a subscription that we want was confirmed.
	Confirmed Outcome = "confirmed"
	// Forbidden: not genuine.
	Forbidden Outcome = "forbidden"
	// Stale: genuine, and too old.
	Stale Outcome = "stale"
	// Malformed: not in the form of this provider.
	Malformed Outcome = "malformed"
	// TooLarge: over a limit.
	TooLarge Outcome = "too_large"
)

// Receiver takes what was read from a request or a mail.
type Receiver interface {
	// Receive acts on reports. After an error the sender should repeat them.
	Receive(ctx context.Context, from Provider, reports []Report) error
	// Note counts what did not become a report.
	Note(from Provider, what Outcome)
}

// Sink learns what became of the mails of a session. It must bear that the
// same report comes again, and that reports come in another order than their
// times.
type Sink interface {
	Delivered(ctx context.Context, sid string, r Report) error
}

// Suppressor keeps the list of addresses that get no mail; see [Suppression].
type Suppressor interface {
	Record(ctx context.Context, medium verification.Medium, address string, r Report) error
}

// Target is the session that a report is about. The address may be empty if
// the session is gone while its tag is still known to be genuine.
type Target struct {
	SID     string
	Address string
}

// Lookup finds a session; false means that there is none.
type Lookup func(ctx context.Context, name string) (Target, bool, error)

// IntakeConfig is what an Intake is made of. Sink, Suppress and ByTag are
// required.
type IntakeConfig struct {
	Sink     Sink
	Suppress Suppressor
	// ByTag and ByMessageID find the session of a report.
	ByTag       Lookup
	ByMessageID Lookup
	// Observe is called for every report and everything turned away.
	Observe func(kind, provider, outcome string)
	// Now is the clock; nil means the real one.
	Now func() time.Time
}

// Intake takes reports of all providers to where they belong.
type Intake struct {
	cfg IntakeConfig
}

// NewIntake checks the configuration.
func NewIntake(cfg IntakeConfig) (*Intake, error) {
	if cfg.Sink == nil || cfg.Suppress == nil || cfg.ByTag == nil {
		return nil, errors.New("sink, suppression list and look-up by tag are required")
	}
	if cfg.ByMessageID == nil {
		cfg.ByMessageID = func(context.Context, string) (Target, bool, error) { return Target{}, false, nil }
	}
	if cfg.Observe == nil {
		cfg.Observe = func(_, _, _ string) {}
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Intake{cfg: cfg}, nil
}

// Receive implements [Receiver]. One report that fails does not keep the
// others from being recorded: repeating those is harmless.
func (i *Intake) Receive(ctx context.Context, from Provider, reports []Report) error {
	var failures []error
	for _, r := range reports {
		if now := i.cfg.Now(); r.At.IsZero() || r.At.After(now) {
			r.At = now
		}
		outcome, err := i.one(ctx, from, r)
		if err != nil {
			failures = append(failures, err)
		}
		i.cfg.Observe(r.Kind.String(), string(from), string(outcome))
	}
	return errors.Join(failures...)
}

func (i *Intake) Note(from Provider, what Outcome) {
	i.cfg.Observe(Kind(0).String(), string(from), string(what))
}

func (i *Intake) one(ctx context.Context, from Provider, r Report) (Outcome, error) {
	target, known, err := i.resolve(ctx, from, r)
	if err != nil {
		return Failed, err
	}
	if from == Mail {
		// The mail may say what it likes: it is about the session whose tag
		// it was sent to. A forwarded message bounces with another address.
		r.Address = target.Address
	} else if target.Address != "" && r.Address != "" && r.Address != target.Address {
		return Mismatch, nil
	}
	if r.Address == "" {
		r.Address = target.Address
	}
	if !known && (r.Address == "" || r.Kind != Bounce && r.Kind != Complaint) {
		return Unresolved, nil
	}
	// The list comes first: it protects the reader, the session only informs.
	if r.Address != "" {
		if err := i.cfg.Suppress.Record(ctx, verification.Email, r.Address, r); err != nil {
			return Failed, err
		}
	}
	if known {
		if err := i.cfg.Sink.Delivered(ctx, target.SID, r); err != nil {
			return Failed, err
		}
	}
	return Recorded, nil
}

// resolve prefers the tag: it is ours alone. A Message-ID stands in every copy
// of the message, so it counts only if a provider vouches for it.
func (i *Intake) resolve(ctx context.Context, from Provider, r Report) (Target, bool, error) {
	if r.VERPTag != "" {
		target, ok, err := i.cfg.ByTag(ctx, r.VERPTag)
		if err != nil || ok {
			return target, ok, err
		}
	}
	if r.MessageID == "" || from == Mail {
		return Target{}, false, nil
	}
	return i.cfg.ByMessageID(ctx, r.MessageID)
}
