// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/feedback"
)

// DefaultMailgunWindow is how old a request may be: longer than the first
// three times that Mailgun tries again (after 5, 10 and 15 minutes).
const DefaultMailgunWindow = time.Hour

// Claimer binds a token to what it first came with; see [feedback.ReplayGuard].
type Claimer interface {
	Claim(ctx context.Context, token string, content [sha256.Size]byte, until time.Time) (bool, error)
}

// MailgunConfig is what a Mailgun is made of. Key, Guard and Receiver are
// required.
type MailgunConfig struct {
	// Key is the HTTP webhook signing key of the account (or of the parent of
	// a subaccount), not the API key.
	Key      string
	Guard    Claimer
	Receiver feedback.Receiver
	// VERP tells our tag in the envelope sender that Mailgun repeats.
	VERP   feedback.VERP
	Window time.Duration
	Now    func() time.Time
}

// Mailgun takes the webhooks of Mailgun.
type Mailgun struct {
	cfg MailgunConfig
}

// NewMailgun checks the configuration.
func NewMailgun(cfg MailgunConfig) (*Mailgun, error) {
	if len(cfg.Key) < minSecret {
		return nil, fmt.Errorf("the signing key needs at least %d characters", minSecret)
	}
	if cfg.Guard == nil || cfg.Receiver == nil {
		return nil, errors.New("guard and receiver are required")
	}
	if cfg.Window == 0 {
		cfg.Window = DefaultMailgunWindow
	}
	cfg.Now = clock(cfg.Now)
	return &Mailgun{cfg: cfg}, nil
}

func (m *Mailgun) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	serve(w, r, feedback.Mailgun, m, m.cfg.Receiver)
}

// admit has nothing to judge: the signature is in the body.
func (m *Mailgun) admit(*http.Request) error { return nil }

// mailgunBody is the signature, and what it does not cover.
type mailgunBody struct {
	Signature struct {
		Timestamp       text   `json:"timestamp"`
		Token           string `json:"token"`
		Signature       string `json:"signature"`
		ParentSignature string `json:"parent-signature"`
	} `json:"signature"`
	Event json.RawMessage `json:"event-data"`
}

func (m *Mailgun) read(ctx context.Context, _ *http.Request, body []byte) ([]feedback.Report, error) {
	var b mailgunBody
	if json.Unmarshal(body, &b) != nil {
		return nil, errForbidden // nothing here is signed
	}
	at, ok := wholeSeconds(string(b.Signature.Timestamp))
	if !ok || len(b.Signature.Token) < minSecret || len(b.Signature.Token) > 128 || !m.signed(&b) {
		return nil, errForbidden
	}
	if !inWindow(m.cfg.Now(), at, m.cfg.Window) {
		return nil, errStale
	}
	r, err := m.report(b.Event)
	if err != nil || r.Kind == 0 {
		return nil, err
	}
	// A minute more than the window: the store's clock is not ours.
	until := at.Add(m.cfg.Window + time.Minute)
	fresh, err := m.cfg.Guard.Claim(ctx, b.Signature.Token, sha256.Sum256(b.Event), until)
	if err != nil {
		return nil, err
	}
	if !fresh {
		return nil, errForbidden
	}
	return []feedback.Report{r}, nil
}

func (m *Mailgun) signed(b *mailgunBody) bool {
	mac := hmac.New(sha256.New, []byte(m.cfg.Key))
	mac.Write([]byte(string(b.Signature.Timestamp) + b.Signature.Token))
	want := mac.Sum(nil)
	for _, signature := range []string{b.Signature.Signature, b.Signature.ParentSignature} {
		if got, err := hex.DecodeString(signature); err == nil && hmac.Equal(got, want) {
			return true
		}
	}
	return false
}

type mailgunEvent struct {
	Event     text   `json:"event"`
	ID        text   `json:"id"`
	Timestamp text   `json:"timestamp"`
	Severity  text   `json:"severity"`
	Reason    text   `json:"reason"`
	Recipient text   `json:"recipient"`
	Variables object `json:"user-variables"`
	Envelope  struct {
		Sender text `json:"sender"`
	} `json:"envelope"`
	Message struct {
		Headers struct {
			MessageID text `json:"message-id"`
		} `json:"headers"`
	} `json:"message"`
	Status struct {
		EnhancedCode text `json:"enhanced-code"`
		Code         text `json:"code"`
		Message      text `json:"message"`
		Description  text `json:"description"`
	} `json:"delivery-status"`
}

func (m *Mailgun) report(raw json.RawMessage) (feedback.Report, error) {
	var ev mailgunEvent
	if err := decode(raw, &ev); err != nil {
		return feedback.Report{}, err
	}
	r := feedback.Report{
		At: unix(ev.Timestamp), ID: string(ev.ID) + "|" + string(ev.Timestamp),
		Address:   feedback.CleanAddress(string(ev.Recipient)),
		MessageID: feedback.CleanMessageID(string(ev.Message.Headers.MessageID)),
		VERPTag:   ev.Variables.tag(),
	}
	if r.VERPTag == "" {
		r.VERPTag, _ = m.cfg.VERP.Tag(string(ev.Envelope.Sender))
	}
	switch ev.Event {
	case "delivered":
		r.Kind = feedback.Delivered
	case "complained":
		r.Kind = feedback.Complaint
	case "rejected":
		r.Kind = feedback.Bounce // by Mailgun itself, for what it thinks of the message
	case "failed":
		r.Kind, r.Permanent = mailgunFailure(ev)
		prose := string(ev.Status.Code) + " " + string(ev.Status.Message) + " " + string(ev.Status.Description)
		r.Code = feedback.BestCode(string(ev.Status.EnhancedCode), prose)
	default:
		return feedback.Report{}, nil
	}
	if r.Address == "" && r.VERPTag == "" && r.MessageID == "" {
		return feedback.Report{}, errMalformed
	}
	return r, nil
}

// mailgunFailure sorts failures. Permanent means that Mailgun gives up, for
// reasons of which some have nothing to do with the address.
func mailgunFailure(ev mailgunEvent) (kind feedback.Kind, permanent bool) {
	if ev.Severity != "permanent" {
		return feedback.Deferred, false
	}
	switch ev.Reason {
	case "suppress-complaint":
		return feedback.Complaint, false
	case "suppress-unsubscribe", "old", "espblock", "greylisted":
		return feedback.Bounce, false
	default:
		return feedback.Bounce, true
	}
}
