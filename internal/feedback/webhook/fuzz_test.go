// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/internal/address"
	"github.com/caddy-threepid/caddy-threepid/internal/feedback"
)

// checkReports holds for every report of every parser, whatever it was fed.
func checkReports(t *testing.T, reports []feedback.Report) {
	t.Helper()
	for _, r := range reports {
		if r.Kind.String() == "none" {
			t.Errorf("a report of no kind: %+v", r)
		}
		if r.Address != "" {
			if canonical, err := address.Email(r.Address); err != nil || canonical != r.Address {
				t.Errorf("address %q is not canonical: %q, %v", r.Address, canonical, err)
			}
		}
		if r.Code != "" && feedback.ParseCode(r.Code) != r.Code {
			t.Errorf("code %q", r.Code)
		}
		if r.MessageID != "" && feedback.CleanMessageID(r.MessageID) != r.MessageID {
			t.Errorf("Message-ID %q", r.MessageID)
		}
		if r.VERPTag != "" && !feedback.ValidTag(r.VERPTag) {
			t.Errorf("tag %q", r.VERPTag)
		}
		if r.Permanent && r.Kind != feedback.Bounce {
			t.Errorf("permanent, and no bounce: %+v", r)
		}
	}
}

// checkStatus holds for every answer to a genuine request.
func checkStatus(t *testing.T, status int) {
	t.Helper()
	switch status {
	case http.StatusOK, http.StatusBadRequest, http.StatusForbidden:
	default:
		t.Errorf("status %d", status)
	}
}

// FuzzSES feeds what is in a signed message, and the envelope that is not
// signed. No signature is made on the way: it would take most of the time.
func FuzzSES(f *testing.F) {
	f.Add(sesBounce)
	f.Add(`{"eventType":"Delivery","delivery":{"recipients":["a@b"]}}`)
	f.Add(`{"mail":{"tags":{"threepid-tag":[1]},"headers":[{"name":"message-id","value":7}]},"notificationType":"Complaint"}`)
	f.Add(signSNS(f, notification(sesBounce)))
	f.Add(signSNS(f, subscription()))
	h, box, fetcher := newSES(f, nil)
	f.Fuzz(func(t *testing.T, text string) {
		reports, err := h.reports(&envelope{Type: snsNotification, Message: text})
		if err != nil && !errors.Is(err, errMalformed) {
			t.Errorf("%v", err)
		}
		checkReports(t, reports)

		box.reports, fetcher.urls = nil, nil
		h.certs.fetched = nil
		checkStatus(t, post(t, h, text))
		checkReports(t, box.reports)
		for _, url := range fetcher.urls {
			if !strings.HasPrefix(url, "https://sns.eu-west-1.amazonaws.com/") {
				t.Errorf("fetched %q", url)
			}
		}
	})
}

func FuzzPostmark(f *testing.F) {
	f.Add(postmarkHardBounce)
	f.Add(`{"RecordType":"Delivery","Recipient":"a@b.c","Metadata":[]}`)
	f.Add(`[]`)
	f.Fuzz(func(t *testing.T, body string) {
		h, box := newPostmark(t)
		checkStatus(t, post(t, h, body, "Authorization", postmarkAuth, "X-Threepid-Secret", postmarkSecret))
		checkReports(t, box.reports)
	})
}

func FuzzMailgun(f *testing.F) {
	f.Add(mailgunBounce, unixText(start), mailgunToken)
	f.Add(`{"event":"failed","severity":"temporary","timestamp":"x","user-variables":7,"recipient":"a@b.c"}`, "1772366400", mailgunToken)
	f.Add(`null`, "", "")
	f.Fuzz(func(t *testing.T, event, timestamp, token string) {
		h, box, _ := newMailgun(t)
		checkStatus(t, post(t, h, signMailgun(event, timestamp, token)))
		checkReports(t, box.reports)
	})
}

func FuzzSendGrid(f *testing.F) {
	f.Add("["+sendGridEventJSON(`"event":"bounce","type":"bounce","status":"5.1.1"`)+"]", "1772366400")
	f.Add(`[{"event":"dropped","timestamp":"1","sg_event_id":{}},[]]`, "1772366400")
	f.Add(`{}`, "-1")
	f.Fuzz(func(t *testing.T, body, timestamp string) {
		h, box := newSendGrid(t)
		checkStatus(t, post(t, h, body, signSendGrid(t, body, timestamp)...))
		checkReports(t, box.reports)
	})
}
