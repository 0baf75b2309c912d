// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/feedback"
)

// maxRecipients is how many addresses one message of SES can have.
const maxRecipients = 50

// SESConfig is what an SES is made of. Topics, Fetch and Receiver are required.
type SESConfig struct {
	// Topics are the ARNs of the SNS topics that SES publishes to. Messages of
	// any other topic are refused, whoever signed them.
	Topics []string
	// Fetch gets the certificate of SNS and confirms subscriptions.
	Fetch    Fetch
	Receiver feedback.Receiver
	// VERP tells our tag in the envelope sender that SES repeats.
	VERP feedback.VERP
	// MaxAge is how old a message may be: 24 hours unless given.
	MaxAge time.Duration
	Now    func() time.Time
}

// SES takes the notifications of Amazon SES from Amazon SNS.
type SES struct {
	cfg   SESConfig
	hosts map[string]string // by topic
	certs *certificates
}

// NewSES checks the configuration.
func NewSES(cfg SESConfig) (*SES, error) {
	if len(cfg.Topics) == 0 || cfg.Fetch == nil || cfg.Receiver == nil {
		return nil, errors.New("topics, fetcher and receiver are required")
	}
	if cfg.MaxAge == 0 {
		cfg.MaxAge = day
	}
	cfg.Now = clock(cfg.Now)
	s := &SES{cfg: cfg, hosts: map[string]string{}, certs: newCertificates(cfg.Fetch, cfg.Now)}
	for _, topic := range cfg.Topics {
		host, err := topicHost(topic)
		if err != nil {
			return nil, fmt.Errorf("%s: is not the ARN of a topic; write it like arn:aws:sns:eu-west-1:123456789012:bounces", topic)
		}
		s.hosts[topic] = host
	}
	return s, nil
}

func (s *SES) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	serve(w, r, feedback.SES, s, s.cfg.Receiver)
}

// admit has nothing to judge: SNS signs the body.
func (s *SES) admit(*http.Request) error { return nil }

func (s *SES) read(ctx context.Context, _ *http.Request, body []byte) ([]feedback.Report, error) {
	var e envelope
	if json.Unmarshal(body, &e) != nil {
		return nil, errForbidden // nothing here is signed
	}
	host, ours := s.hosts[e.TopicArn]
	if !ours || e.Type != snsNotification && e.Type != snsSubscribe && e.Type != snsUnsubscribe {
		return nil, errForbidden
	}
	if err := e.verify(ctx, host, s.certs); err != nil {
		return nil, err
	}
	if at := stamp(text(e.Timestamp)); !inWindow(s.cfg.Now(), at, s.cfg.MaxAge) {
		return nil, errStale
	}
	switch e.Type {
	case snsSubscribe:
		return nil, s.confirm(ctx, &e, host)
	case snsUnsubscribe:
		return nil, nil // somebody with the right to has unsubscribed us
	}
	return s.reports(&e)
}

// confirm returns errConfirmed if it did.
func (s *SES) confirm(ctx context.Context, e *envelope, host string) error {
	link, ok := e.confirmation(host)
	if !ok {
		return errForbidden
	}
	if _, err := s.cfg.Fetch(ctx, link); err != nil {
		return fmt.Errorf("%w: confirm subscription: %w", errLater, err)
	}
	return errConfirmed
}

// sesEvent is what SES says. Notifications of an identity and events of a
// configuration set differ in the name of the first field only.
type sesEvent struct {
	NotificationType string `json:"notificationType"`
	EventType        string `json:"eventType"`
	Mail             struct {
		MessageID text   `json:"messageId"` // of SES, not ours
		Source    text   `json:"source"`
		Timestamp text   `json:"timestamp"`
		Tags      tagSet `json:"tags"`
		Headers   []struct {
			Name  text `json:"name"`
			Value text `json:"value"`
		} `json:"headers"`
		CommonHeaders struct {
			MessageID text `json:"messageId"`
		} `json:"commonHeaders"`
	} `json:"mail"`
	Bounce struct {
		BounceType        text           `json:"bounceType"`
		BouncedRecipients []sesRecipient `json:"bouncedRecipients"`
		sesOccasion
	} `json:"bounce"`
	Complaint struct {
		ComplainedRecipients []sesRecipient `json:"complainedRecipients"`
		FeedbackType         text           `json:"complaintFeedbackType"`
		sesOccasion
	} `json:"complaint"`
	Delivery struct {
		Recipients []text `json:"recipients"`
		sesOccasion
	} `json:"delivery"`
	DeliveryDelay struct {
		DelayedRecipients []sesRecipient `json:"delayedRecipients"`
		sesOccasion
	} `json:"deliveryDelay"`
}

type sesOccasion struct {
	Timestamp  text `json:"timestamp"`
	FeedbackID text `json:"feedbackId"`
}

type sesRecipient struct {
	EmailAddress   text `json:"emailAddress"`
	Status         text `json:"status"`
	DiagnosticCode text `json:"diagnosticCode"`
}

// tagSet is the message tags: lists of texts by name.
type tagSet map[string][]text

func (t *tagSet) UnmarshalJSON(raw []byte) error {
	var m map[string][]text
	if json.Unmarshal(raw, &m) == nil {
		*t = m
	}
	return nil // tags are of use, and no reason to lose a report
}

func (s *SES) reports(e *envelope) ([]feedback.Report, error) {
	var ev sesEvent
	if json.Unmarshal([]byte(e.Message), &ev) != nil {
		// SNS greets a new subscription in prose, signed like the rest.
		if !strings.HasPrefix(strings.TrimSpace(e.Message), "{") {
			return nil, nil
		}
		return nil, errMalformed
	}
	kind := ev.NotificationType
	if kind == "" {
		kind = ev.EventType
	}
	base := feedback.Report{MessageID: ev.messageID(), VERPTag: s.tag(&ev)}
	var who []sesRecipient
	var when sesOccasion
	switch kind {
	case "Bounce":
		base.Kind, base.Permanent = feedback.Bounce, ev.Bounce.BounceType == "Permanent"
		who, when = ev.Bounce.BouncedRecipients, ev.Bounce.sesOccasion
	case "Complaint":
		if ev.Complaint.FeedbackType == "not-spam" {
			return nil, nil
		}
		base.Kind = feedback.Complaint
		who, when = ev.Complaint.ComplainedRecipients, ev.Complaint.sesOccasion
	case "Delivery":
		base.Kind = feedback.Delivered
		for _, address := range ev.Delivery.Recipients {
			who = append(who, sesRecipient{EmailAddress: address})
		}
		when = ev.Delivery.sesOccasion
	case "DeliveryDelay":
		base.Kind = feedback.Deferred
		who, when = ev.DeliveryDelay.DelayedRecipients, ev.DeliveryDelay.sesOccasion
	default:
		return nil, nil
	}
	return spread(base, who, when, ev.Mail.MessageID)
}

// spread makes a report for each recipient.
func spread(base feedback.Report, who []sesRecipient, when sesOccasion, id text) ([]feedback.Report, error) {
	if len(who) == 0 || len(who) > maxRecipients {
		return nil, errMalformed
	}
	reports := make([]feedback.Report, 0, len(who))
	for _, one := range who {
		r := base
		r.At = stamp(when.Timestamp)
		r.Address = feedback.CleanAddress(string(one.EmailAddress))
		r.Code = feedback.BestCode(string(one.Status), string(one.DiagnosticCode))
		r.ID = strings.Join([]string{string(id), string(when.FeedbackID), string(when.Timestamp), r.Address, r.Kind.String()}, "|")
		reports = append(reports, r)
	}
	return reports, nil
}

// messageID is the one that we sent: SES replaces it, and repeats ours in the
// original headers only.
func (ev *sesEvent) messageID() string {
	for _, h := range ev.Mail.Headers {
		if strings.EqualFold(string(h.Name), "Message-ID") {
			return feedback.CleanMessageID(string(h.Value))
		}
	}
	return feedback.CleanMessageID(string(ev.Mail.CommonHeaders.MessageID))
}

func (s *SES) tag(ev *sesEvent) string {
	if tags := ev.Mail.Tags[feedback.TagField]; len(tags) == 1 {
		return validTag(string(tags[0]))
	}
	tag, _ := s.cfg.VERP.Tag(string(ev.Mail.Source))
	return tag
}
