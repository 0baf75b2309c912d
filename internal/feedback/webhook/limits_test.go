// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/feedback"
)

// TestTheMostIsTaken: what is as long, as many or as late as may be is taken; that one
// more is not, the tests of each service say.
func TestTheMostIsTaken(t *testing.T) {
	recipient := `{"emailAddress":"alice@example.org"}`
	most := strings.Replace(sesBounce, `"bouncedRecipients":[`, `"bouncedRecipients":[`+strings.Repeat(recipient+",", maxRecipients-1), 1)
	ses, sesBox, _ := newSES(t, nil)
	if got := post(t, ses, signSNS(t, notification(most))); got != http.StatusOK || len(sesBox.reports) != maxRecipients {
		t.Errorf("SES: %d, %d reports", got, len(sesBox.reports))
	}
	sendgrid, sendgridBox := newSendGrid(t)
	body := "[" + strings.Repeat("0,", maxEvents-1) + sendGridEventJSON(`"event":"bounce"`) + "]"
	if got := post(t, sendgrid, body, signSendGrid(t, body, unixText(start))...); got != http.StatusOK || len(sendgridBox.reports) != 1 {
		t.Errorf("SendGrid: %d, %d reports", got, len(sendgridBox.reports))
	}
	for size, good := range map[int]bool{minSecret - 1: false, minSecret: true, 128: true, 129: false} {
		mailgun, box, _ := newMailgun(t)
		token := strings.Repeat("x", size)
		if got := post(t, mailgun, signMailgun(mailgunBounce, unixText(start), token)); (got == http.StatusOK) != good || (len(box.reports) == 1) != good {
			t.Errorf("Mailgun, a token of %d: %d", size, got)
		}
	}
	for size, good := range map[int]bool{minSecret - 1: false, minSecret: true} {
		key := strings.Repeat("k", size)
		_, errs := NewMailgun(MailgunConfig{Key: key, Guard: &memoryGuard{}, Receiver: &inbox{}})
		_, byPassword := NewPostmark(PostmarkConfig{Username: "u", Password: key, Receiver: &inbox{}})
		_, bySecret := NewPostmark(PostmarkConfig{Header: "X-S", Secret: key, Receiver: &inbox{}})
		if (errs == nil) != good || (byPassword == nil) != good || (bySecret == nil) != good {
			t.Errorf("secrets of %d: %v, %v, %v", size, errs, byPassword, bySecret)
		}
	}
	for in, want := range map[text]time.Time{"32503680000": time.Unix(32503680000, 0), "32503680001": {}, "0.5": time.Unix(0, 5e8), "9": time.Unix(9, 0)} {
		if got := unix(in); !got.Equal(want) {
			t.Errorf("unix(%q) = %v, want %v", in, got, want)
		}
	}
	if at, ok := wholeSeconds("99999999999"); !ok || at.Unix() != 99999999999 {
		t.Errorf("wholeSeconds of eleven digits = %v, %v", at, ok)
	}
	var numbers []text
	if err := decode([]byte(`[0,9,-1,9.5e1]`), &numbers); err != nil || strings.Join([]string{string(numbers[0]), string(numbers[1]), string(numbers[2]), string(numbers[3])}, " ") != "0 9 -1 9.5e1" {
		t.Errorf("numbers are read as %q, %v", numbers, err)
	}
}

// TestWindowsAreAsConfigured, by a clock that is the real one if none is given.
func TestWindowsAreAsConfigured(t *testing.T) {
	const window = 10 * time.Minute
	body := "[" + sendGridEventJSON(`"event":"bounce"`) + "]"
	services := map[string]func(t *testing.T, window time.Duration, now func() time.Time, at time.Time) int{
		"SES": func(t *testing.T, window time.Duration, now func() time.Time, at time.Time) int {
			f := &fetcher{cert: certificate(t, &rsaKey().PublicKey, rsaKey(), nil)}
			h, err := NewSES(SESConfig{Topics: []string{topic}, Fetch: f.fetch, Receiver: &inbox{}, MaxAge: window, Now: now})
			if err != nil {
				t.Fatal(err)
			}
			m := notification(sesBounce)
			m["Timestamp"] = at.UTC().Format(time.RFC3339Nano)
			return post(t, h, signSNS(t, m))
		},
		"Mailgun": func(t *testing.T, window time.Duration, now func() time.Time, at time.Time) int {
			h, err := NewMailgun(MailgunConfig{Key: mailgunKey, Guard: &memoryGuard{}, Receiver: &inbox{}, Window: window, Now: now})
			if err != nil {
				t.Fatal(err)
			}
			return post(t, h, signMailgun(mailgunBounce, unixText(at), mailgunToken))
		},
		"SendGrid": func(t *testing.T, window time.Duration, now func() time.Time, at time.Time) int {
			h, err := NewSendGrid(SendGridConfig{PublicKey: publicKey(t, &sendGridKey().PublicKey), Receiver: &inbox{}, MaxAge: window, Now: now})
			if err != nil {
				t.Fatal(err)
			}
			return post(t, h, body, signSendGrid(t, body, unixText(at))...)
		},
	}
	for name, ask := range services {
		for ago, want := range map[time.Duration]int{
			window: http.StatusOK, window + time.Second: http.StatusForbidden, -5 * time.Minute: http.StatusOK, -5*time.Minute - time.Second: http.StatusForbidden,
		} {
			if got := ask(t, window, fixed, start.Add(-ago)); got != want {
				t.Errorf("%s: %d for what was signed %s ago, want %d", name, got, ago, want)
			}
		}
		if name == "SES" {
			continue // its certificate is one of the test's time
		}
		for ago, want := range map[time.Duration]int{window / 2: http.StatusOK, 2 * window: http.StatusForbidden} {
			if got := ask(t, window, nil, time.Now().Add(-ago)); got != want {
				t.Errorf("%s, by the real clock: %d for what was signed %s ago, want %d", name, got, ago, want)
			}
		}
	}
}

// TestSNSRefusesSignedMessagesOfOtherTypes: SNS signs for us what it says, and other
// things may be said one day.
func TestSNSRefusesSignedMessagesOfOtherTypes(t *testing.T) {
	for _, kind := range []string{"", "Other", "notification", "SubscriptionConfirmation "} {
		h, box, f := newSES(t, nil)
		m := subscription()
		m["Type"], m["Message"] = kind, sesBounce
		if got := post(t, h, signSNS(t, m)); got != http.StatusForbidden || len(f.urls) != 0 {
			t.Errorf("%q: %d, fetched %q", kind, got, f.urls)
		}
		box.wantNothing(t, feedback.Forbidden)
	}
}

// TestSubscriptionOutOfReachAsksToRepeat: it is not confirmed yet.
func TestSubscriptionOutOfReachAsksToRepeat(t *testing.T) {
	h, box, f := newSES(t, nil)
	post(t, h, signSNS(t, notification(sesBounce))) // its certificate is known since
	box.reports, f.fail = nil, errBroken
	if got := post(t, h, signSNS(t, subscription())); got != http.StatusServiceUnavailable {
		t.Errorf("status %d", got)
	}
	box.wantNothing(t, feedback.Failed)
}

// TestURLsOfSNSHaveOneReading: nothing is asked of a URL that anybody could read as
// another one.
func TestURLsOfSNSHaveOneReading(t *testing.T) {
	const host = "sns.eu-west-1.amazonaws.com"
	for _, raw := range []string{
		"", "//" + host + "/", "http://" + host + "/", "https:" + host, "https:/" + host, "https://" + host + ":443/", "https://" + host + ".evil.example/",
		"https://a@" + host + "/", "https://" + host + "/@", "https://" + host + "/#x", "https://" + host + "/#", "https://evil.example\\@" + host,
		"https://" + host + "/\\x", " https://" + host, "https://" + host + "/ x", "https://" + host + "/\tx", "https://" + host + "/\rx", "https://" + host + "/\nx", "https://" + host + "/%zz",
	} {
		if u, ok := onHost(raw, host); ok || u != nil {
			t.Errorf("onHost(%q) = %v", raw, u)
		}
	}
	for raw, want := range map[string]bool{certURL: true, certURL + "?": false, certURL + "?x": false, certURL + "/": false} {
		e := envelope{SigningCertURL: raw}
		if got, ok := e.certificateURL(host); ok != want || (got == raw) != want {
			t.Errorf("certificateURL(%q) = %q, %v", raw, got, ok)
		}
	}
}

// TestReasonsThatAreNotTheAddress: a service gives up for reasons of its own, too.
func TestReasonsThatAreNotTheAddress(t *testing.T) {
	for reason, want := range map[string]feedback.Report{
		"suppress-unsubscribe": {Kind: feedback.Bounce}, "old": {Kind: feedback.Bounce}, "espblock": {Kind: feedback.Bounce}, "greylisted": {Kind: feedback.Bounce},
		"suppress-complaint": {Kind: feedback.Complaint}, "suppress-bounce": {Kind: feedback.Bounce, Permanent: true}, "bounce": {Kind: feedback.Bounce, Permanent: true},
		"": {Kind: feedback.Bounce, Permanent: true},
	} {
		if kind, permanent := mailgunFailure(mailgunEvent{Severity: "permanent", Reason: text(reason)}); kind != want.Kind || permanent != want.Permanent {
			t.Errorf("Mailgun %q: %v, permanent %v", reason, kind, permanent)
		}
		if kind, permanent := mailgunFailure(mailgunEvent{Severity: "temporary", Reason: text(reason)}); kind != feedback.Deferred || permanent {
			t.Errorf("Mailgun %q, which passes: %v, permanent %v", reason, kind, permanent)
		}
	}
	for reason, want := range map[string]feedback.Report{
		"Bounced Address": {Kind: feedback.Bounce, Permanent: true}, "invalid": {Kind: feedback.Bounce, Permanent: true},
		"spam reporting address": {Kind: feedback.Complaint}, "Unsubscribed Address": {Kind: feedback.Bounce}, "": {Kind: feedback.Bounce},
	} {
		if kind, permanent := sendGridDrop(reason); kind != want.Kind || permanent != want.Permanent {
			t.Errorf("SendGrid %q: %v, permanent %v", reason, kind, permanent)
		}
	}
	for _, kind := range []text{"SoftBounce", "DnsError", "Blocked", "SpamNotification", "VirusNotification", "AddressChange", "DMARCPolicy", "Undeliverable", "Unknown"} {
		if kind, permanent := postmarkBounce(postmarkEvent{Type: kind}); kind != feedback.Bounce || permanent {
			t.Errorf("Postmark: %v, permanent %v", kind, permanent)
		}
	}
	if kind, permanent := postmarkBounce(postmarkEvent{RecordType: "SpamComplaint"}); kind != feedback.Complaint || permanent {
		t.Errorf("Postmark, a complaint without a type: %v, permanent %v", kind, permanent)
	}
}

// TestOneNameOfAMessageIsEnough to find it by: its address, our tag, or our id where
// a service tells it.
func TestOneNameOfAMessageIsEnough(t *testing.T) {
	for event, want := range map[string]feedback.Report{
		`{"event":"complained","recipient":"alice@example.org","user-variables":{"threepid-tag":"no tag!"}}`: {Address: alice},
		`{"event":"complained","recipient":"alice@example.org"}`:                                             {Address: alice},
		`{"event":"complained","user-variables":{"threepid-tag":"` + ourTag + `"}}`:                          {VERPTag: ourTag},
		`{"event":"complained","envelope":{"sender":"bounces+` + ourTag + `@example.org"}}`:                  {VERPTag: ourTag},
		`{"event":"complained","message":{"headers":{"message-id":"<` + ourID + `>"}}}`:                      {MessageID: ourID},
		`{"event":"complained","message":{"headers":{"message-id":"` + ourID + `"}},"timestamp":0}`:          {MessageID: ourID},
	} {
		h, box, _ := newMailgun(t)
		if got := post(t, h, signMailgun(event, unixText(start), mailgunToken)); got != http.StatusOK {
			t.Errorf("Mailgun, %s: %d", event, got)
		}
		want.Kind = feedback.Complaint
		box.want(t, want)
	}
	for body, want := range map[string]feedback.Report{
		`{"RecordType":"SpamComplaint","Email":"alice@example.org"}`:                  {Address: alice},
		`{"RecordType":"SpamComplaint","Metadata":{"threepid-tag":"` + ourTag + `"}}`: {VERPTag: ourTag},
	} {
		h, box := newPostmark(t)
		if got := post(t, h, body, "Authorization", postmarkAuth, "X-Threepid-Secret", postmarkSecret); got != http.StatusOK {
			t.Errorf("Postmark, %s: %d", body, got)
		}
		want.Kind = feedback.Complaint
		box.want(t, want)
	}
}

func TestNewSESChecks(t *testing.T) {
	f := &fetcher{}
	for name, cfg := range map[string]SESConfig{
		"no topic": {Fetch: f.fetch, Receiver: &inbox{}}, "no fetcher": {Topics: []string{topic}, Receiver: &inbox{}},
		"no receiver": {Topics: []string{topic}, Fetch: f.fetch},
		"queue":       {Topics: []string{"arn:aws:sqs:eu-west-1:123456789012:x"}, Fetch: f.fetch, Receiver: &inbox{}},
		"odd region":  {Topics: []string{"arn:aws:sns:evil.example:123456789012:x"}, Fetch: f.fetch, Receiver: &inbox{}},
	} {
		if _, err := NewSES(cfg); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if s, err := NewSES(SESConfig{Topics: []string{topic}, Fetch: f.fetch, Receiver: &inbox{}}); err != nil || s.cfg.Now == nil || s.cfg.MaxAge != day {
		t.Errorf("NewSES = %+v, %v, want the defaults", s, err)
	}
	for arn, want := range map[string]string{
		"arn:aws:sns:us-east-1:123456789012:x":            "sns.us-east-1.amazonaws.com",
		"arn:aws-cn:sns:cn-north-1:123456789012:x":        "sns.cn-north-1.amazonaws.com.cn",
		"arn:aws-us-gov:sns:us-gov-west-1:123456789012:x": "sns.us-gov-west-1.amazonaws.com",
	} {
		if got, err := topicHost(arn); err != nil || got != want {
			t.Errorf("topicHost(%q) = %q, %v, want %q", arn, got, err, want)
		}
	}
}
