// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/feedback"
)

// maxEvents is more than fit into a request of the size that SendGrid keeps to
// (768 kB).
const maxEvents = 5000

// Headers of a signed request.
const (
	sendGridSignature = "X-Twilio-Email-Event-Webhook-Signature"
	sendGridTimestamp = "X-Twilio-Email-Event-Webhook-Timestamp"
)

// SendGridConfig is what a SendGrid is made of. PublicKey and Receiver are
// required.
type SendGridConfig struct {
	// PublicKey is the verification key as SendGrid shows it: base64 of a DER
	// SubjectPublicKeyInfo.
	PublicKey string
	Receiver  feedback.Receiver
	// MaxAge is how old a request may be: 24 hours unless given, for as long
	// SendGrid tries again.
	MaxAge time.Duration
	Now    func() time.Time
}

// SendGrid takes the requests of the Event Webhook.
type SendGrid struct {
	cfg SendGridConfig
	key *ecdsa.PublicKey
}

// errPublicKey does not repeat the key: what stands there may be a secret.
var errPublicKey = errors.New("must be the public key of a signed event webhook as SendGrid shows it: ECDSA over P-256, in Base64")

// NewSendGrid checks the configuration.
func NewSendGrid(cfg SendGridConfig) (*SendGrid, error) {
	if cfg.Receiver == nil {
		return nil, errors.New("receiver is required")
	}
	der, err := base64.StdEncoding.DecodeString(strings.TrimSpace(cfg.PublicKey))
	if err != nil {
		return nil, errPublicKey
	}
	parsed, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return nil, errPublicKey
	}
	key, ok := parsed.(*ecdsa.PublicKey)
	if !ok || key.Curve != elliptic.P256() {
		return nil, errPublicKey
	}
	if cfg.MaxAge == 0 {
		cfg.MaxAge = day
	}
	cfg.Now = clock(cfg.Now)
	return &SendGrid{cfg: cfg, key: key}, nil
}

func (s *SendGrid) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	serve(w, r, feedback.SendGrid, s, s.cfg.Receiver)
}

// admit turns away what cannot be genuine without reading the body.
func (s *SendGrid) admit(r *http.Request) error {
	signatures, times := r.Header.Values(sendGridSignature), r.Header.Values(sendGridTimestamp)
	if len(signatures) != 1 || len(times) != 1 {
		return errForbidden
	}
	at, ok := wholeSeconds(times[0])
	if !ok {
		return errForbidden
	}
	if !inWindow(s.cfg.Now(), at, s.cfg.MaxAge) {
		return errStale
	}
	return nil
}

// sendGridEvent is one event of an array.
type sendGridEvent struct {
	Event     text `json:"event"`
	Email     text `json:"email"`
	Timestamp text `json:"timestamp"`
	SMTPID    text `json:"smtp-id"`
	ID        text `json:"sg_event_id"`
	MessageID text `json:"sg_message_id"`
	Status    text `json:"status"`
	Reason    text `json:"reason"`
	Response  text `json:"response"`
	Type      text `json:"type"`
	// Tag is a unique argument: those stand beside the fields of the event.
	Tag text `json:"threepid-tag"`
}

func (s *SendGrid) read(_ context.Context, r *http.Request, body []byte) ([]feedback.Report, error) {
	signature, err := base64.StdEncoding.DecodeString(r.Header.Get(sendGridSignature))
	if err != nil {
		return nil, errForbidden
	}
	hash := sha256.New()
	hash.Write([]byte(r.Header.Get(sendGridTimestamp)))
	hash.Write(body)
	if !ecdsa.VerifyASN1(s.key, hash.Sum(nil), signature) {
		return nil, errForbidden
	}
	var raw []json.RawMessage
	if err := decode(body, &raw); err != nil {
		return nil, err
	}
	if len(raw) > maxEvents {
		return nil, errMalformed
	}
	var reports []feedback.Report
	for _, one := range raw {
		var ev sendGridEvent
		_ = json.Unmarshal(one, &ev) // one in a form of its own says nothing, and costs the others nothing
		if report := ev.report(); report.Kind != 0 {
			reports = append(reports, report)
		}
	}
	return reports, nil
}

func (ev *sendGridEvent) report() feedback.Report {
	r := feedback.Report{
		Address: feedback.CleanAddress(string(ev.Email)), At: unix(ev.Timestamp),
		MessageID: feedback.CleanMessageID(string(ev.SMTPID)), VERPTag: validTag(string(ev.Tag)),
		ID: strings.Join([]string{string(ev.ID), string(ev.MessageID), string(ev.Event), string(ev.Timestamp)}, "|"),
	}
	switch ev.Event {
	case "delivered":
		r.Kind = feedback.Delivered
	case "deferred":
		r.Kind = feedback.Deferred
		r.Code = feedback.BestCode(string(ev.Status), string(ev.Response))
	case "bounce":
		r.Kind = feedback.Bounce
		r.Code = feedback.BestCode(string(ev.Status), string(ev.Reason))
		// Type "blocked" is a refusal that SendGrid itself takes for passing.
		r.Permanent = ev.Type != "blocked" && !strings.HasPrefix(r.Code, "4.")
	case "dropped":
		r.Kind, r.Permanent = sendGridDrop(string(ev.Reason))
	case "spamreport":
		r.Kind = feedback.Complaint
	}
	return r
}

// sendGridDrop sorts what SendGrid did not send, for what it remembers of the
// address or thinks of the message.
func sendGridDrop(reason string) (kind feedback.Kind, permanent bool) {
	switch {
	case strings.EqualFold(reason, "Bounced Address"), strings.EqualFold(reason, "Invalid"):
		return feedback.Bounce, true
	case strings.EqualFold(reason, "Spam Reporting Address"):
		return feedback.Complaint, false
	default:
		return feedback.Bounce, false
	}
}
