// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/feedback"
)

const (
	topic   = "arn:aws:sns:eu-west-1:123456789012:mail-feedback"
	certURL = "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0123456789abcdef.pem"
)

// fetcher answers with a certificate, and remembers what it was asked for.
type fetcher struct {
	cert []byte
	urls []string
	fail error
}

func (f *fetcher) fetch(_ context.Context, url string) ([]byte, error) {
	f.urls = append(f.urls, url)
	return f.cert, f.fail
}

func newSES(t testing.TB, edit func(*SESConfig)) (*SES, *inbox, *fetcher) {
	t.Helper()
	box, f := &inbox{}, &fetcher{cert: certificate(t, &rsaKey().PublicKey, rsaKey(), nil)}
	cfg := SESConfig{Topics: []string{topic}, Fetch: f.fetch, Receiver: box, VERP: verp, Now: fixed}
	if edit != nil {
		edit(&cfg)
	}
	s, err := NewSES(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s, box, f
}

// notification is a message as SNS sends it, before it is signed.
func notification(message string) map[string]string {
	return map[string]string{
		"Type": "Notification", "MessageId": "f3072eb0-0000-5c7f-8dc7-000000000000", "TopicArn": topic,
		"Message": message, "Timestamp": "2026-03-01T11:59:58.123Z", "SignatureVersion": "2", "SigningCertURL": certURL,
		"UnsubscribeURL": "https://sns.eu-west-1.amazonaws.com/?Action=Unsubscribe&SubscriptionArn=" + topic + ":1",
	}
}

func subscription() map[string]string {
	m := notification("You have chosen to subscribe to the topic.")
	m["Type"], m["Token"] = "SubscriptionConfirmation", "2336412f37fb687f5d51e6e2425c464de12884d217e7e9a25e"
	m["SubscribeURL"] = "https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription&TopicArn=" +
		url.QueryEscape(topic) + "&Token=" + m["Token"]
	delete(m, "UnsubscribeURL")
	return m
}

// signSNS signs what the guide says is signed, written here from the guide and
// not with the code under test.
func signSNS(t testing.TB, m map[string]string) string {
	t.Helper()
	names := []string{"Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"}
	if m["Type"] == "Notification" {
		names = []string{"Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"}
	}
	var text strings.Builder
	for _, name := range names {
		if value, there := m[name]; there {
			text.WriteString(name + "\n" + value + "\n")
		}
	}
	hash, sum := crypto.SHA256, sha256.Sum256([]byte(text.String()))
	digest := sum[:]
	if m["SignatureVersion"] == "1" {
		old := sha1.Sum([]byte(text.String()))
		hash, digest = crypto.SHA1, old[:]
	}
	signature, err := rsa.SignPKCS1v15(rand.Reader, rsaKey(), hash, digest)
	if err != nil {
		t.Fatal(err)
	}
	m["Signature"] = base64.StdEncoding.EncodeToString(signature)
	return marshal(t, m)
}

func marshal(t testing.TB, v any) string {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// sesMail is the mail object of an event.
const sesMail = `"mail":{"timestamp":"2026-03-01T11:59:50.000Z","source":"bounces+` + ourTag + `@example.org",
	"sourceArn":"arn:aws:ses:eu-west-1:123456789012:identity/example.org","sourceIp":"192.0.2.7","sendingAccountId":"123456789012",
	"messageId":"0102018f0000-ses-made-this-000000","destination":["Alice@Example.org"],"headersTruncated":false,
	"headers":[{"name":"From","value":"Example <noreply@example.org>"},{"name":"Message-ID","value":"<` + ourID + `>"}],
	"commonHeaders":{"from":["Example <noreply@example.org>"],"messageId":"<` + ourID + `>","subject":"Confirm"}}`

const sesBounce = `{"notificationType":"Bounce","bounce":{"feedbackId":"0102018f-f","bounceType":"Permanent","bounceSubType":"General",
	"bouncedRecipients":[{"emailAddress":"Alice@Example.org","action":"failed","status":"5.1.1",
	"diagnosticCode":"smtp; 550 5.1.1 <alice@example.org>... User unknown"}],
	"timestamp":"2026-03-01T11:59:57.500Z","remoteMtaIp":"192.0.2.9","reportingMTA":"dsn; a7-1.smtp-out.eu-west-1.amazonses.com"},` + sesMail + `}`

func TestSESReadsWhatTheGuideShows(t *testing.T) {
	at := start.Add(-2500 * time.Millisecond)
	base := feedback.Report{Address: alice, MessageID: ourID, VERPTag: ourTag, At: at}
	with := func(edit func(*feedback.Report)) feedback.Report {
		r := base
		edit(&r)
		return r
	}
	hard := with(func(r *feedback.Report) { r.Kind, r.Permanent, r.Code = feedback.Bounce, true, "5.1.1" })
	soft := with(func(r *feedback.Report) { r.Kind, r.Code = feedback.Bounce, "4.2.2" })
	tests := map[string]struct {
		message string
		want    feedback.Report
	}{
		"permanent bounce": {sesBounce, hard},
		"of a configuration set": {
			strings.Replace(sesBounce, "notificationType", "eventType", 1), hard,
		},
		"transient bounce": {
			strings.NewReplacer(`"Permanent"`, `"Transient"`, `"5.1.1"`, `"4.2.2"`).Replace(sesBounce), soft,
		},
		"bounce without a DSN": {
			`{"notificationType":"Bounce","bounce":{"bounceType":"Permanent","bounceSubType":"Suppressed","feedbackId":"x",
			"bouncedRecipients":[{"emailAddress":"alice@example.org"}],"timestamp":"2026-03-01T11:59:57.500Z"},` + sesMail + `}`,
			with(func(r *feedback.Report) { r.Kind, r.Permanent = feedback.Bounce, true }),
		},
		"complaint": {
			`{"notificationType":"Complaint","complaint":{"userAgent":"ExampleCorp Feedback Loop (V0.01)","complaintFeedbackType":"abuse",
			"complainedRecipients":[{"emailAddress":"alice@example.org"}],"complaintSubType":null,
			"arrivalDate":"2026-03-01T11:00:00.000Z","timestamp":"2026-03-01T11:59:57.500Z","feedbackId":"y"},` + sesMail + `}`,
			with(func(r *feedback.Report) { r.Kind = feedback.Complaint }),
		},
		"delivery": {
			`{"notificationType":"Delivery","delivery":{"timestamp":"2026-03-01T11:59:57.500Z","recipients":["alice@example.org"],
			"processingTimeMillis":546,"reportingMTA":"a8-70.smtp-out.amazonses.com","smtpResponse":"250 ok: Message 64111812 accepted"},` + sesMail + `}`,
			with(func(r *feedback.Report) { r.Kind = feedback.Delivered }),
		},
		"delay": {
			`{"eventType":"DeliveryDelay","deliveryDelay":{"timestamp":"2026-03-01T11:59:57.500Z","delayType":"TransientCommunicationFailure",
			"expirationTime":"2026-03-01T23:25:00.000Z","delayedRecipients":[{"emailAddress":"alice@example.org","status":"4.4.1",
			"diagnosticCode":"smtp; 421 4.4.1 Unable to connect to remote host"}]},` + sesMail + `}`,
			with(func(r *feedback.Report) { r.Kind, r.Code = feedback.Deferred, "4.4.1" }),
		},
		"message tags in another form": {
			strings.Replace(sesBounce, `"mail":{`, `"mail":{"tags":{"threepid-tag":["another"],"x":7},`, 1), hard,
		},
		"tag as a message tag, other headers not included": {
			`{"eventType":"Bounce","bounce":{"bounceType":"Permanent","bouncedRecipients":[{"emailAddress":"alice@example.org"}],
			"timestamp":"2026-03-01T11:59:57.500Z"},"mail":{"source":"noreply@example.org","messageId":"ses","tags":{"threepid-tag":["` + ourTag + `"],"ses:caller-identity":["x"]}}}`,
			with(func(r *feedback.Report) { r.Kind, r.Permanent, r.MessageID = feedback.Bounce, true, "" }),
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			h, box, _ := newSES(t, nil)
			if got := post(t, h, signSNS(t, notification(tt.message))); got != http.StatusOK {
				t.Fatalf("status %d, notes %q", got, box.notes)
			}
			box.want(t, tt.want)
		})
	}
}

func TestSESReportsEveryRecipient(t *testing.T) {
	h, box, _ := newSES(t, nil)
	message := strings.Replace(sesBounce, `"bouncedRecipients":[`, `"bouncedRecipients":[{"emailAddress":"bob@example.org"},`, 1)
	if got := post(t, h, signSNS(t, notification(message))); got != http.StatusOK || len(box.reports) != 2 {
		t.Fatalf("status %d, %+v", got, box.reports)
	}
	if box.reports[0].ID == box.reports[1].ID {
		t.Error("two recipients share an ID")
	}
}

func TestSESIgnoresWhatIsOfNoInterest(t *testing.T) {
	for name, message := range map[string]string{
		"open":                 `{"eventType":"Open","open":{"ipAddress":"192.0.2.1"},` + sesMail + `}`,
		"of the future":        `{"eventType":"Teleported",` + sesMail + `}`,
		"neither type":         `{}`,
		"greeting of SES":      "Successfully validated SNS topic for Amazon SES event publishing.",
		"not spam, they say":   `{"notificationType":"Complaint","complaint":{"complaintFeedbackType":"not-spam","complainedRecipients":[{"emailAddress":"alice@example.org"}]}}`,
		"sent, says a set":     `{"eventType":"Send","send":{},` + sesMail + `}`,
		"no longer subscribed": "",
	} {
		h, box, _ := newSES(t, nil)
		m := notification(message)
		if name == "no longer subscribed" {
			m = subscription()
			m["Type"] = "UnsubscribeConfirmation"
		}
		if got := post(t, h, signSNS(t, m)); got != http.StatusOK {
			t.Errorf("%s: %d", name, got)
		}
		box.wantNothing(t, feedback.Ignored)
	}
}

func TestSESRefusesMalformedEvents(t *testing.T) {
	many := strings.TrimSuffix(strings.Repeat(`{"emailAddress":"alice@example.org"},`, maxRecipients+1), ",")
	for name, message := range map[string]string{
		"cut": sesBounce[:200], "nobody bounced": `{"notificationType":"Bounce"}`,
		"too many": `{"notificationType":"Bounce","bounce":{"bouncedRecipients":[` + many + `]}}`,
	} {
		h, box, _ := newSES(t, nil)
		if got := post(t, h, signSNS(t, notification(message))); got != http.StatusBadRequest {
			t.Errorf("%s: %d", name, got)
		}
		box.wantNothing(t, feedback.Malformed)
	}
}

func TestSNSBothSignatureVersionsAndASubject(t *testing.T) {
	for _, version := range []string{"1", "2"} {
		for _, subject := range []string{"", "Amazon SES Email Event Notification"} {
			h, box, _ := newSES(t, nil)
			m := notification(sesBounce)
			if m["SignatureVersion"] = version; subject != "" {
				m["Subject"] = subject
			}
			if got := post(t, h, signSNS(t, m), "Content-Type", "text/plain; charset=UTF-8"); got != http.StatusOK || len(box.reports) != 1 {
				t.Errorf("version %s, subject %q: %d", version, subject, got)
			}
		}
	}
}

func TestSNSTamperingIsNoticed(t *testing.T) {
	for name, edit := range map[string]func(m map[string]string){
		"message":      func(m map[string]string) { m["Message"] = strings.Replace(m["Message"], "Alice", "Mallory", 1) },
		"message id":   func(m map[string]string) { m["MessageId"] = "another" },
		"time":         func(m map[string]string) { m["Timestamp"] = "2026-03-01T11:59:59.123Z" },
		"subject":      func(m map[string]string) { m["Subject"] = "added" },
		"type":         func(m map[string]string) { m["Type"] = "UnsubscribeConfirmation" },
		"version":      func(m map[string]string) { m["SignatureVersion"] = "1" },
		"no version":   func(m map[string]string) { m["SignatureVersion"] = "3" },
		"no signature": func(m map[string]string) { delete(m, "Signature") },
		"no more":      func(m map[string]string) { m["Signature"] += "!" },
		"no base64":    func(m map[string]string) { m["Signature"] = "!" },
		"cut":          func(m map[string]string) { m["Signature"] = m["Signature"][:100] },
		"unknown type": func(m map[string]string) { m["Type"] = "Other" },
	} {
		h, box, _ := newSES(t, nil)
		m := notification(sesBounce)
		signSNS(t, m)
		edit(m)
		if got := post(t, h, marshal(t, m)); got != http.StatusForbidden {
			t.Errorf("%s: %d", name, got)
		}
		box.wantNothing(t, feedback.Forbidden)
	}
}

func TestSNSOfAnotherTopicIsRefusedBeforeAnythingIsFetched(t *testing.T) {
	for _, other := range []string{
		"", "arn:aws:sns:eu-west-1:123456789012:other", "arn:aws:sns:eu-west-1:999999999999:mail-feedback", strings.ToUpper(topic), topic + " ",
	} {
		h, box, f := newSES(t, nil)
		for _, m := range []map[string]string{notification(sesBounce), subscription()} {
			m["TopicArn"] = other
			if got := post(t, h, signSNS(t, m)); got != http.StatusForbidden {
				t.Errorf("%q: %d", other, got)
			}
		}
		if len(box.reports) != 0 || len(f.urls) != 0 {
			t.Errorf("%q: reports %+v, fetched %q", other, box.reports, f.urls)
		}
	}
}

func TestSNSCertificateComesFromTheTopicsRegionOnly(t *testing.T) {
	file := "SimpleNotificationService-0123456789abcdef.pem"
	for _, from := range []string{
		"", "http://sns.eu-west-1.amazonaws.com/" + file, "https://sns.us-east-1.amazonaws.com/" + file,
		"https://sns.eu-west-1.amazonaws.com.evil.example/" + file, "https://evil.example/" + file,
		"https://sns.eu-west-1.amazonaws.com:8443/" + file, "https://sns.eu-west-1.amazonaws.com@evil.example/" + file,
		"https://user@sns.eu-west-1.amazonaws.com/" + file, "https://sns.eu-west-1.amazonaws.com/" + file + "?x=1",
		"https://sns.eu-west-1.amazonaws.com/" + file + "#x", "https://sns.eu-west-1.amazonaws.com/x/" + file,
		"https://sns.eu-west-1.amazonaws.com/../" + file, "https://sns.eu-west-1.amazonaws.com/other.pem",
		"https://sns.eu-west-1.amazonaws.com\\@evil.example/" + file, "https://s3.amazonaws.com/" + file, "//sns.eu-west-1.amazonaws.com/" + file,
		"https://SNS.eu-west-1.amazonaws.com./" + file, "file:///etc/passwd", "https:sns.eu-west-1.amazonaws.com/" + file,
		"https://sns.eu-west-1.amazonaws.com/%53impleNotificationService-0123456789abcdef.pem",
	} {
		h, box, f := newSES(t, nil)
		m := notification(sesBounce)
		m["SigningCertURL"] = from
		if got := post(t, h, signSNS(t, m)); got != http.StatusForbidden || len(f.urls) != 0 {
			t.Errorf("%q: %d, fetched %q", from, got, f.urls)
		}
		box.wantNothing(t, feedback.Forbidden)
	}
}

func TestSNSRefusesOldMessages(t *testing.T) {
	for stamp, want := range map[string]int{
		"2026-02-28T12:00:01.000Z": http.StatusOK, "2026-02-28T11:59:59.000Z": http.StatusForbidden,
		"2026-03-01T12:04:00.000Z": http.StatusOK, "2026-03-01T12:06:00.000Z": http.StatusForbidden,
		"": http.StatusForbidden, "now": http.StatusForbidden,
	} {
		h, box, _ := newSES(t, nil)
		m := notification(sesBounce)
		m["Timestamp"] = stamp
		if got := post(t, h, signSNS(t, m)); got != want {
			t.Errorf("%q: %d, want %d", stamp, got, want)
		}
		if want != http.StatusOK {
			box.wantNothing(t, feedback.Stale)
		}
	}
}

func TestSNSSubscriptionOfOurTopicIsConfirmed(t *testing.T) {
	for _, path := range []string{"/", ""} {
		h, box, f := newSES(t, nil)
		m := subscription()
		m["SubscribeURL"] = strings.Replace(m["SubscribeURL"], "/?", path+"?", 1)
		if got := post(t, h, signSNS(t, m)); got != http.StatusOK {
			t.Fatalf("status %d", got)
		}
		box.wantNothing(t, feedback.Confirmed)
		if len(f.urls) != 2 || f.urls[1] != m["SubscribeURL"] {
			t.Errorf("fetched %q, want the certificate and %q", f.urls, m["SubscribeURL"])
		}
	}
}

func TestSNSConfirmsNothingElse(t *testing.T) {
	host := "https://sns.eu-west-1.amazonaws.com/"
	token := subscription()["Token"]
	good := "?Action=ConfirmSubscription&TopicArn=" + url.QueryEscape(topic) + "&Token=" + token
	for name, link := range map[string]string{
		"none": "", "another host": "https://evil.example/" + good, "another path": host + "x" + good, "plain text": "http://sns.eu-west-1.amazonaws.com/" + good,
		"another action": host + strings.Replace(good, "ConfirmSubscription", "DeleteTopic", 1),
		"another topic":  host + strings.Replace(good, "mail-feedback", "other", 1),
		"another token":  host + good + "0", "two actions": host + good + "&Action=DeleteTopic", "no query": host,
		"two topics": host + good + "&TopicArn=x", "two tokens": host + good + "&Token=x", "odd query": host + good + "&x=%zz",
	} {
		h, box, f := newSES(t, nil)
		m := subscription()
		m["SubscribeURL"] = link
		if got := post(t, h, signSNS(t, m)); got != http.StatusForbidden {
			t.Errorf("%s: %d", name, got)
		}
		box.wantNothing(t, feedback.Forbidden)
		if len(f.urls) != 1 {
			t.Errorf("%s: fetched %q, want the certificate only", name, f.urls)
		}
	}
}

func TestSNSForgedSubscriptionIsNotConfirmed(t *testing.T) {
	h, box, f := newSES(t, nil)
	m := subscription()
	signSNS(t, m)
	m["Token"] += "0"
	m["SubscribeURL"] += "0"
	if got := post(t, h, marshal(t, m)); got != http.StatusForbidden {
		t.Errorf("status %d", got)
	}
	box.wantNothing(t, feedback.Forbidden)
	if len(f.urls) != 1 {
		t.Errorf("fetched %q", f.urls)
	}
}
