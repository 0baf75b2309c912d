// SPDX-License-Identifier: Apache-2.0

package instance

import (
	"crypto/subtle"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"

	"go.uber.org/zap"

	"github.com/caddy-threepid/caddy-threepid/caddymodule/guest"
	"github.com/caddy-threepid/caddy-threepid/internal/feedback"
	"github.com/caddy-threepid/caddy-threepid/internal/keyring"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// ReceiptPath is where gateways report, each below its name. It is short: some
// vendors take no URL of more than 100 characters.
const ReceiptPath = "/_threepid/sms/"

// maxReceipt bounds what a gateway may send, in bytes.
const maxReceipt = 64 << 10

// receipts takes what a gateway says became of messages.
type receipts struct {
	reader    guest.ReceiptReader
	keys      *keyring.Ring
	verified  bool
	service   *verification.Service
	publicURL string
	logger    *zap.Logger
	name      string
}

// assembleReceipts makes the handlers of the gateways that report.
func (i *Instance) assembleReceipts() {
	i.receipts = map[string]http.Handler{}
	for name, gateway := range i.cfg.Gateways {
		reporter, ok := gateway.(guest.SMSReporter)
		if !ok || reporter.ReceiptReader() == nil {
			continue
		}
		i.receipts[name] = &receipts{
			reader: reporter.ReceiptReader(), keys: i.Keys, service: i.Service, verified: reporter.Verified(),
			publicURL: i.cfg.HTTP.PublicURL, logger: i.logger, name: name,
		}
	}
}

// ServeHTTP implements http.Handler. The tag in the URL shows that we have given
// this URL to a gateway; a signature, where there is one, that it is the
// gateway which uses it.
func (h *receipts) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	kind, outcome, status := h.take(w, r)
	feedbackTotal.WithLabelValues("sms", kind, string(outcome)).Inc()
	w.Header().Set("Cache-Control", "no-store")
	if status == http.StatusOK {
		_, _ = io.WriteString(w, "OK") // the gateway may be gone
		return
	}
	http.Error(w, http.StatusText(status), status)
}

func (h *receipts) take(w http.ResponseWriter, r *http.Request) (kind string, outcome feedback.Outcome, status int) {
	kind = feedback.Kind(0).String()
	if r.Method != http.MethodGet && r.Method != http.MethodPost {
		w.Header().Set("Allow", "GET, POST")
		return kind, feedback.Malformed, http.StatusMethodNotAllowed
	}
	tag := r.URL.Query().Get("tag")
	if _, ok := messageOf(h.keys, tag); !ok && (tag != "" || !h.verified) {
		return kind, feedback.Forbidden, http.StatusForbidden
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxReceipt))
	if err != nil {
		return kind, feedback.TooLarge, http.StatusRequestEntityTooLarge
	}
	var receipt guest.Receipt
	err = Guarded(func() (err error) {
		receipt, err = h.reader.Read(r, body, h.publicURL+r.URL.RequestURI())
		return err
	})
	switch {
	case errors.Is(err, guest.ErrForged):
		h.logger.Warn("a delivery receipt is not genuine", zap.String("sender", h.name))
		return kind, feedback.Forbidden, http.StatusForbidden
	case err != nil:
		return kind, feedback.Malformed, http.StatusBadRequest
	}
	// A vendor with one address for all receipts repeats the message's own.
	if own, err := url.Parse(receipt.ReceiptURL); tag == "" && err == nil {
		tag = own.Query().Get("tag")
	}
	id, ok := messageOf(h.keys, tag)
	if !ok {
		return kind, feedback.Unresolved, http.StatusOK
	}
	return h.record(r, id, receipt)
}

// record writes down what is known now.
func (h *receipts) record(r *http.Request, id string, receipt guest.Receipt) (string, feedback.Outcome, int) {
	var state verification.DeliveryState
	kind := feedback.Deferred.String()
	switch receipt.State {
	case guest.Arrived:
		state, kind = verification.Arrived, feedback.Delivered.String()
	case guest.Undelivered:
		state, kind = verification.Bounced, feedback.Bounce.String()
	default:
		return kind, feedback.Ignored, http.StatusOK
	}
	err := h.service.NoteReceipt(r.Context(), id, state)
	sid, _, _ := strings.Cut(id, ".")
	switch {
	case errors.Is(err, verification.ErrNoSession), errors.Is(err, verification.ErrExpired):
		return kind, feedback.Unresolved, http.StatusOK
	case err != nil:
		h.logger.Error("cannot record a delivery receipt", zap.Error(err))
		return kind, feedback.Failed, http.StatusServiceUnavailable
	}
	if to, err := h.service.Recipient(r.Context(), threepid.SID(sid)); err == nil {
		h.logger.Info("a delivery receipt has come", zap.String("sender", h.name), zap.String("state", string(state)),
			zap.String("code", receipt.Code), zap.String("pseudonym", h.service.Pseudonym(to.Address)))
	}
	return kind, feedback.Recorded, http.StatusOK
}

// longestTag is that of the thousandth message of a session.
const longestTag = tagMAC + 32 + len(".999")

// tagMAC is how much of a keyed hash a tag has, in characters: 66 bits.
const tagMAC = 11

// receiptTag is what a receipt for a message is known by: the message's id, and
// a MAC. The id alone would not do: the client knows half of it and guesses the
// rest.
func receiptTag(keys *keyring.Ring, messageID string) string {
	return keys.HashText("sms receipt", messageID)[:tagMAC] + messageID
}

// messageOf undoes receiptTag, for a tag that was made with any of the keys.
func messageOf(keys *keyring.Ring, tag string) (id string, ok bool) {
	if len(tag) <= tagMAC {
		return "", false
	}
	id = tag[tagMAC:]
	for _, sum := range keys.HashTexts("sms receipt", id) {
		if subtle.ConstantTimeCompare([]byte(tag[:tagMAC]), []byte(sum[:tagMAC])) == 1 {
			ok = true
		}
	}
	return id, ok
}
