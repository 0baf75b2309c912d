// SPDX-License-Identifier: Apache-2.0

package instance

import (
	"net"
	"net/http"

	"go.uber.org/zap"

	"github.com/caddy-threepid/caddy-threepid/caddymodule/guest"
	"github.com/caddy-threepid/caddy-threepid/handlers"
	"github.com/caddy-threepid/caddy-threepid/handlers/pages"
	"github.com/caddy-threepid/caddy-threepid/internal/emailpolicy"
	"github.com/caddy-threepid/caddy-threepid/internal/feedback"
	"github.com/caddy-threepid/caddy-threepid/internal/outbound"
	"github.com/caddy-threepid/caddy-threepid/internal/phone"
	"github.com/caddy-threepid/caddy-threepid/internal/sms"
	"github.com/caddy-threepid/caddy-threepid/internal/smsfraud"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
	"github.com/caddy-threepid/caddy-threepid/internal/words"
)

// Config is one configuration, with defaults applied. It holds the secrets of
// webhooks and no other.
type Config struct {
	// HTTP is for the handlers. What needs an open store is filled in here.
	HTTP handlers.Config
	// Sessions is for the verification service, likewise.
	Sessions verification.Config
	// KeyFile is the file with the keys.
	KeyFile string
	// Homeserver is its kind: synapse, dendrite, generic.
	Homeserver string
	// Labs are the identity servers that may have any address.
	Labs []outbound.Name
	// Words are those of mails, messages and pages, and Looks how pages look.
	Words *words.Set
	Looks map[string]pages.Look
	// MaxQueued is how many messages may wait; zero means the default.
	MaxQueued int
	// EmailPolicy decides whose email addresses may be verified.
	EmailPolicy *emailpolicy.Policy
	Feedback    Feedback
	SMS         *SMS // nil: no phone numbers

	// StoreID is what the store module is called.
	StoreID string
	Store   guest.Store
	// Mailer is nil where no email addresses are verified.
	Mailer   guest.Mailer
	Gateways map[string]guest.SMSGateway

	// Logger is that of the configuration.
	Logger *zap.Logger
	// Operator is told of what only they can mend.
	Operator handlers.Operator
}

// Feedback is what becomes of mails after the relay took them.
type Feedback struct {
	// VERP makes the envelope sender of each mail; empty: that of From.
	VERP feedback.VERP
	// Listen, if set, opens the listener that takes bounces by LMTP.
	Listen func() (net.Listener, error)

	SES              []string // the ARNs of topics
	PostmarkUser     string
	PostmarkPassword string
	Mailgun          string // the signing key
	SendGrid         string // the public key
}

// postmark reports whether Postmark is configured.
func (f Feedback) postmark() bool { return f.PostmarkUser != "" || f.PostmarkPassword != "" }

// SMS is how phone numbers are verified.
type SMS struct {
	Routes      []sms.Route
	Originators map[string][]string
	Numbers     phone.Policy
	Fraud       smsfraud.Config
	Currency    string
}

// Unavailable answers what is ours while there is no instance.
func Unavailable(cfg Config) (http.Handler, error) {
	return handlers.NewUnavailable(cfg.HTTP, cfg.pages())
}

// pages are the words and the looks of pages.
func (c *Config) pages() handlers.PageOptions {
	return handlers.PageOptions{Words: pages.FromTemplates(c.Words), Looks: c.Looks}
}
