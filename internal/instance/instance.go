// SPDX-License-Identifier: Apache-2.0

package instance

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"go.uber.org/zap"

	"github.com/caddy-threepid/caddy-threepid/caddymodule/guest"
	"github.com/caddy-threepid/caddy-threepid/handlers"
	"github.com/caddy-threepid/caddy-threepid/internal/emailpolicy"
	"github.com/caddy-threepid/caddy-threepid/internal/feedback"
	"github.com/caddy-threepid/caddy-threepid/internal/feedback/lmtp"
	"github.com/caddy-threepid/caddy-threepid/internal/identityserver"
	"github.com/caddy-threepid/caddy-threepid/internal/keyring"
	"github.com/caddy-threepid/caddy-threepid/internal/outbound"
	"github.com/caddy-threepid/caddy-threepid/internal/outbox"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
	"github.com/caddy-threepid/caddy-threepid/store"
)

// Instance is what one configuration works with.
type Instance struct {
	cfg    Config
	logger *zap.Logger

	Store       *SharedStore
	Keys        *keyring.Ring
	Service     *verification.Service
	Suppression *feedback.Suppression

	client *handlers.Client
	mail   *outbox.MailSender // nil: no mail
	phones *phones            // nil: no phone numbers
	// release ends the deliveries; nil while there are none.
	release func()

	tags     feedback.Tags
	intake   *feedback.Intake
	webhooks map[string]http.Handler // by provider
	receipts map[string]http.Handler // by sender
	lmtp     *lmtp.Server            // nil: bounces do not come by mail
}

// New makes an instance. It changes nothing and calls nobody.
func New(cfg Config, shared *SharedStore) (*Instance, error) {
	i := &Instance{cfg: cfg, logger: cfg.Logger, Store: shared, Keys: shared.Keys}
	return i, i.assemble()
}

// Rehearse puts everything together as New will, over a store that is not there and
// keys that nobody has: what cannot be put together is found before anything is
// stopped for it.
func Rehearse(cfg Config) error {
	keys, err := keyring.New(keyring.Key{Secret: make([]byte, keyring.SecretSize)})
	if err != nil {
		return err
	}
	_, err = New(cfg, newShared(unopened{}, keys, true, cfg.Logger))
	return err
}

// unopened stands for a store that is not open yet.
type unopened struct{ store.Store }

func (i *Instance) assemble() error {
	obs := NewObserver(i.logger, nil)
	if i.cfg.Mailer != nil {
		i.mail = i.mailSender()
		if err := i.mail.Check(); err != nil {
			return fmt.Errorf("compose a sample mail: %w", err)
		}
	}
	if err := i.assemblePhones(); err != nil {
		return err
	}
	sessions := i.cfg.Sessions
	sessions.Store, sessions.Keys, sessions.Observer, sessions.Outbox = i.Store, i.Keys, obs, i.Store.Outbox
	var err error
	if i.Service, err = verification.NewService(sessions); err != nil {
		return err
	}
	if err := i.assembleFeedback(); err != nil {
		return err
	}
	servers := identityserver.New(identityserver.Options{Outbound: outbound.Options{Allow: i.cfg.Labs}})
	i.client = handlers.NewClient(i.http(), i.Service, servers, obs)
	return i.client.SetPages(i.cfg.pages())
}

// http is the configuration of the client-facing side, with what needs the store.
func (i *Instance) http() handlers.Config {
	config := i.cfg.HTTP
	config.Emails, config.Operator = emailRules{i}, i.cfg.Operator
	if i.phones != nil {
		with := *config.Phones
		with.Guard, config.Phones = i.phones.guard, &with
	}
	return config
}

// emailRules are the policy, and what the mailer has to say of an address.
type emailRules struct{ *Instance }

// Refused implements [handlers.EmailRules]. The operator is told of an address that the
// policy is against.
func (i emailRules) Refused(ctx context.Context, email string) bool {
	v := i.cfg.EmailPolicy.Check(ctx, email)
	policyTotal.WithLabelValues(string(v.Rule), string(v.Action)).Inc()
	if v.Action != emailpolicy.Allowed {
		i.logger.Info("address denied by policy", zap.String("rule", string(v.Rule)), zap.String("action", string(v.Action)),
			zap.String("pseudonym", i.Service.Pseudonym(email)))
	}
	return v.Action == emailpolicy.Refused
}

func (i emailRules) CannotCarry(ctx context.Context, email string) bool {
	carrier, ok := i.cfg.Mailer.(guest.Carrier)
	cannot := false
	return ok && Guarded(func() error { cannot = carrier.CannotCarry(ctx, email); return nil }) == nil && cannot
}

// senders are the transports. They bound what the owner of an address gets for requests
// that the homeserver has refused, and let mails mention other requests.
func (i *Instance) senders() map[threepid.Medium]outbox.Sender {
	senders := map[threepid.Medium]outbox.Sender{}
	if i.mail != nil {
		mentioning := &outbox.MentionSender{Sender: i.mail, Open: i.Service}
		senders[threepid.Email] = &outbox.DecoySender{Sender: mentioning, Explanations: i.Service}
	}
	if i.phones != nil {
		senders[threepid.MSISDN] = &outbox.DecoySender{Sender: i.phones.sender, Explanations: i.Service}
	}
	return senders
}

// coolingDown is why nothing goes to an address whose owner has refused a message.
const coolingDown = "its owner wants no messages for now"

// suppressed asks whether the owner of an address wants no messages, and the
// suppression list.
func (i *Instance) suppressed(ctx context.Context, m verification.Message) (string, error) {
	if wait, err := i.Service.Cooling(ctx, m); err != nil || wait > 0 {
		return coolingDown, err
	}
	entry, listed, err := i.Suppression.Lookup(ctx, m.ThreePID())
	if err != nil || !listed || (m.Wanted && entry.Reason == feedback.ReasonComplaint) {
		return "", err // who calls a stranger's mail spam still wants their own
	}
	return string(entry.Reason), nil
}

// Start starts what needs it, and the deliveries. An error rejects the
// configuration. What Start has begun, Stop ends.
func (i *Instance) Start() error {
	if s, ok := i.cfg.Mailer.(guest.Starter); ok {
		if err := Guarded(s.Start); err != nil {
			return fmt.Errorf("start mailer: %w", err)
		}
	}
	if err := i.signMail(); err != nil {
		return err
	}
	if err := i.startGateways(); err != nil {
		return err
	}
	if err := i.startLMTP(); err != nil {
		return err
	}
	if len(i.Keys.Keys()) > 1 {
		i.resealLater() // the process may have died over it
	}
	senders := i.senders()
	if len(senders) == 0 {
		// Messages that wait are kept for a configuration that can send them.
		return nil
	}
	if i.phones != nil {
		i.spends()
	}
	i.release = i.Store.Outbox.Use(outbox.Transports{
		Observer: NewObserver(i.logger, nil), Senders: senders, MaxQueued: i.cfg.MaxQueued, Suppressed: i.suppressed,
	})
	return nil
}

// signMail has mail signed as the mailer says, which it can since it was started, and
// refuses a key that signs nothing.
func (i *Instance) signMail() error {
	if i.mail == nil {
		return nil
	}
	err := Guarded(func() error {
		if i.mail.DKIM = signerOf(i.cfg.Mailer); i.mail.DKIM == nil {
			return nil
		}
		return i.mail.Check()
	})
	if err != nil {
		return fmt.Errorf("sign a sample mail: %w", err)
	}
	return nil
}

// startGateways does the I/O that gateways need before they can send.
func (i *Instance) startGateways() error {
	for _, name := range slices.Sorted(maps.Keys(i.cfg.Gateways)) {
		if s, ok := i.cfg.Gateways[name].(guest.Starter); ok {
			if err := Guarded(s.Start); err != nil {
				return fmt.Errorf("start sms sender %s: %w", name, err)
			}
		}
	}
	return nil
}

// Stop ends the deliveries, and may be called again. It does not wait: a relay that
// hangs must not hold up a reload. What is in flight ends with the transport that it
// began with, and closing the store waits for it; what is left is for the next instance.
func (i *Instance) Stop() {
	if i.lmtp != nil {
		_ = i.lmtp.Close() // what it has accepted is done
	}
	if i.release == nil {
		return
	}
	i.spendsNoMore()
	i.release()
	i.release = nil
}

// Serve answers what a client asks for, or has next answer it.
func (i *Instance) Serve(w http.ResponseWriter, r *http.Request, next handlers.Next) error {
	return i.client.ServeHTTP(w, r, next)
}

// Identity answers what a homeserver asks of an identity server. Reached, if set, is
// told of its calls.
func (i *Instance) Identity(config handlers.Config, logger *zap.Logger, reached func()) http.Handler {
	return handlers.NewIdentity(config, i.Service, NewObserver(logger, reached))
}

// ForMachines finds the webhook or the receipts that a path belongs to. Somebody who
// looks at one of these addresses is told what they are told of any other that there is
// not.
func (i *Instance) ForMachines(r *http.Request) http.Handler {
	looks := r.Method == http.MethodGet && r.URL.RawQuery == "" && handlers.ForPerson(r)
	if provider, ok := strings.CutPrefix(r.URL.Path, FeedbackPath); ok && !looks {
		return i.webhooks[provider]
	}
	if sender, ok := strings.CutPrefix(r.URL.Path, ReceiptPath); ok && !looks {
		return i.receipts[sender]
	}
	return nil
}
