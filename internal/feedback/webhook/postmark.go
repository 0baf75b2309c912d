// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"

	"github.com/caddy-threepid/caddy-threepid/internal/feedback"
)

// minSecret is the length from which a secret is taken for one, in bytes.
const minSecret = 16

// PostmarkConfig is what a Postmark is made of. Receiver is required, and a
// password, a secret header or both: whoever sends the request must know all
// that is configured.
type PostmarkConfig struct {
	// Username and Password are those of HTTP basic authentication.
	Username, Password string
	// Header has to have the value Secret.
	Header, Secret string
	Receiver       feedback.Receiver
}

// Postmark takes the webhooks of Postmark.
type Postmark struct {
	cfg PostmarkConfig
}

// NewPostmark checks the configuration.
func NewPostmark(cfg PostmarkConfig) (*Postmark, error) {
	switch {
	case cfg.Receiver == nil:
		return nil, errors.New("receiver is required")
	case cfg.Password == "" && cfg.Secret == "":
		return nil, errors.New("a password is required")
	case cfg.Password != "" && len(cfg.Password) < minSecret, cfg.Secret != "" && len(cfg.Secret) < minSecret:
		return nil, fmt.Errorf("the password needs at least %d characters", minSecret)
	case (cfg.Header == "") != (cfg.Secret == ""), (cfg.Username == "") != (cfg.Password == ""):
		return nil, errors.New("a user name needs a password, and a header a secret")
	}
	return &Postmark{cfg: cfg}, nil
}

func (p *Postmark) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	serve(w, r, feedback.Postmark, p, p.cfg.Receiver)
}

// admit judges the whole authenticity, before the body is read.
func (p *Postmark) admit(r *http.Request) error {
	good := 1
	if p.cfg.Password != "" {
		user, password, _ := r.BasicAuth()
		good &= equal(user, p.cfg.Username) & equal(password, p.cfg.Password)
	}
	if p.cfg.Secret != "" {
		values := r.Header.Values(p.cfg.Header)
		if len(values) != 1 {
			return errForbidden
		}
		good &= equal(values[0], p.cfg.Secret)
	}
	if good != 1 {
		return errForbidden
	}
	return nil
}

// equal compares in a time that tells neither content nor length.
func equal(got, want string) int {
	g, w := sha256.Sum256([]byte(got)), sha256.Sum256([]byte(want))
	return subtle.ConstantTimeCompare(g[:], w[:])
}

// postmarkEvent is a bounce, a complaint or a delivery.
type postmarkEvent struct {
	RecordType  text
	ID          text
	Type        text
	MessageID   text // of Postmark, not ours
	Email       text // of bounces and complaints
	Recipient   text // of deliveries
	Description text
	Details     text
	BouncedAt   text
	DeliveredAt text
	Metadata    object
}

func (p *Postmark) read(_ context.Context, _ *http.Request, body []byte) ([]feedback.Report, error) {
	var ev postmarkEvent
	if err := decode(body, &ev); err != nil {
		return nil, err
	}
	r := feedback.Report{VERPTag: ev.Metadata.tag()}
	switch ev.RecordType {
	case "Bounce", "SpamComplaint", "": // webhooks of old had no record type, and reported bounces
		r.Kind, r.Permanent = postmarkBounce(ev)
		r.At, r.Address = stamp(ev.BouncedAt), feedback.CleanAddress(string(ev.Email))
		if r.Kind != feedback.Complaint {
			r.Code = feedback.FindCode(string(ev.Details))
		}
	case "Delivery":
		r.Kind = feedback.Delivered
		r.At, r.Address = stamp(ev.DeliveredAt), feedback.CleanAddress(string(ev.Recipient))
	}
	if r.Kind == 0 {
		return nil, nil
	}
	if r.Address == "" && r.VERPTag == "" {
		return nil, errMalformed
	}
	r.ID = string(ev.RecordType) + "|" + string(ev.ID) + "|" + string(ev.MessageID) + "|" + r.Address
	return []feedback.Report{r}, nil
}

// postmarkBounce sorts the types of the Bounce API. Those that are answers of
// a person or a robot, or of the API itself, say nothing of a message's fate.
func postmarkBounce(ev postmarkEvent) (kind feedback.Kind, permanent bool) {
	if ev.RecordType == "SpamComplaint" {
		return feedback.Complaint, false
	}
	switch ev.Type {
	case "SpamComplaint":
		return feedback.Complaint, false
	case "HardBounce", "BadEmailAddress", "ManuallyDeactivated":
		return feedback.Bounce, true
	case "SoftBounce", "DnsError", "Blocked", "SpamNotification", "VirusNotification", "AddressChange", "DMARCPolicy", "Undeliverable", "Unknown":
		return feedback.Bounce, false
	case "Transient":
		return feedback.Deferred, false
	default:
		return 0, false
	}
}
