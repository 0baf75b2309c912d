// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/feedback"
)

const (
	mailgunKey   = "key-0123456789abcdef0123456789abcdef"
	mailgunToken = "e0b5477167110d68991efc6b9f89f0a11066af27834600e123"
)

func unixText(t time.Time) string { return strconv.FormatInt(t.Unix(), 10) }

func newMailgun(t testing.TB) (*Mailgun, *inbox, *memoryGuard) {
	t.Helper()
	box, guard := &inbox{}, &memoryGuard{}
	m, err := NewMailgun(MailgunConfig{Key: mailgunKey, Guard: guard, Receiver: box, VERP: verp, Now: fixed})
	if err != nil {
		t.Fatal(err)
	}
	return m, box, guard
}

func mailgunMAC(key, timestamp, token string) string {
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(timestamp))
	mac.Write([]byte(token))
	return hex.EncodeToString(mac.Sum(nil))
}

// signMailgun wraps an event as Mailgun does.
func signMailgun(event, timestamp, token string) string {
	return `{"signature":{"token":"` + token + `","timestamp":"` + timestamp + `","signature":"` +
		mailgunMAC(mailgunKey, timestamp, token) + `"},"event-data":` + event + `}`
}

// mailgunEventJSON is an event as the user manual shows it; the first
// arguments are fields of its own.
func mailgunEventJSON(fields, status string) string {
	return `{` + fields + `,"id":"G9Bn5sl1TC6nu79C8C0bwg","timestamp":1772366397.5,"log-level":"error",
	"account":{"id":"1234567890303a4bd1f33898"},"domain":{"name":"example.org"},
	"envelope":{"sender":"bounces+` + ourTag + `@example.org","targets":"Alice@Example.org","transport":"smtp"},
	"flags":{"is-routed":false,"is-authenticated":true,"is-system-test":false,"is-test-mode":false},
	"message":{"headers":{"to":"Alice@Example.org","message-id":"` + ourID + `","from":"noreply@example.org","subject":"Confirm"},"attachments":[],"size":111},
	"recipient":"Alice@Example.org","recipient-domain":"example.org","storage":{"url":"https://se.api.mailgun.net/v3/x","key":"x"},
	"campaigns":[],"tags":["x"],"user-variables":{},"delivery-status":` + status + `}`
}

var mailgunBounce = mailgunEventJSON(`"event":"failed","severity":"permanent","reason":"bounce"`,
	`{"attempt-no":1,"code":550,"enhanced-code":"5.1.1","message":"5.1.1 The email account does not exist","description":"","session-seconds":0.43,"mx-host":"mx.example.org"}`)

func TestMailgunReadsWhatItsManualShows(t *testing.T) {
	at := start.Add(-2500 * time.Millisecond)
	base := feedback.Report{Address: alice, MessageID: ourID, VERPTag: ourTag, At: at}
	with := func(edit func(*feedback.Report)) feedback.Report {
		r := base
		edit(&r)
		return r
	}
	tests := map[string]struct {
		event string
		want  feedback.Report
	}{
		"permanent failure": {
			mailgunBounce, with(func(r *feedback.Report) { r.Kind, r.Permanent, r.Code = feedback.Bounce, true, "5.1.1" }),
		},
		"suppressed by Mailgun, code of its own": {
			mailgunEventJSON(`"event":"failed","severity":"permanent","reason":"suppress-bounce"`,
				`{"attempt-no":1,"code":605,"message":"","description":"Not delivering to previously bounced address","session-seconds":0.0}`),
			with(func(r *feedback.Report) { r.Kind, r.Permanent = feedback.Bounce, true }),
		},
		"suppressed by Mailgun for a complaint": {
			mailgunEventJSON(`"event":"failed","severity":"permanent","reason":"suppress-complaint"`, `{"code":607}`),
			with(func(r *feedback.Report) { r.Kind = feedback.Complaint }),
		},
		"gave up": {
			mailgunEventJSON(`"event":"failed","severity":"permanent","reason":"old"`, `{"code":602,"message":"Too old","description":"450 4.2.2 full"}`),
			with(func(r *feedback.Report) { r.Kind, r.Code = feedback.Bounce, "4.2.2" }),
		},
		"temporary failure": {
			mailgunEventJSON(`"event":"failed","severity":"temporary","reason":"generic"`,
				`{"attempt-no":3,"code":452,"enhanced-code":"","message":"4.2.2 The email account is over quota","retry-seconds":600}`),
			with(func(r *feedback.Report) { r.Kind, r.Code = feedback.Deferred, "4.2.2" }),
		},
		"complaint": {
			mailgunEventJSON(`"event":"complained"`, `null`), with(func(r *feedback.Report) { r.Kind = feedback.Complaint }),
		},
		"delivered": {
			mailgunEventJSON(`"event":"delivered"`, `{"code":250,"message":"OK"}`), with(func(r *feedback.Report) { r.Kind = feedback.Delivered }),
		},
		"rejected": {
			mailgunEventJSON(`"event":"rejected","reject":{"reason":"Sandbox"}`, `{}`), with(func(r *feedback.Report) { r.Kind = feedback.Bounce }),
		},
		"tag as a variable": {
			strings.NewReplacer(`"user-variables":{}`, `"user-variables":{"threepid-tag":"from-variable"}`).Replace(mailgunBounce),
			with(func(r *feedback.Report) {
				r.Kind, r.Permanent, r.Code, r.VERPTag = feedback.Bounce, true, "5.1.1", "from-variable"
			}),
		},
		"no envelope, no variables": {
			`{"event":"complained","id":"x","timestamp":1772366397.5,"recipient":"alice@example.org","user-variables":[]}`,
			feedback.Report{Kind: feedback.Complaint, Address: alice, At: at},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			h, box, _ := newMailgun(t)
			if got := post(t, h, signMailgun(tt.event, unixText(start), mailgunToken)); got != http.StatusOK {
				t.Fatalf("status %d, notes %q", got, box.notes)
			}
			box.want(t, tt.want)
		})
	}
}

func TestMailgunOfASubaccountIsSignedByItsParent(t *testing.T) {
	h, box, _ := newMailgun(t)
	timestamp := unixText(start)
	body := `{"signature":{"token":"` + mailgunToken + `","timestamp":` + timestamp + `,"signature":"` +
		mailgunMAC("key of the subaccount", timestamp, mailgunToken) + `","parent-signature":"` +
		mailgunMAC(mailgunKey, timestamp, mailgunToken) + `"},"event-data":` + mailgunBounce + `}`
	if got := post(t, h, body); got != http.StatusOK || len(box.reports) != 1 {
		t.Errorf("status %d, notes %q", got, box.notes)
	}
}

func TestMailgunIgnoresWhatIsOfNoInterest(t *testing.T) {
	for _, event := range []string{
		mailgunEventJSON(`"event":"opened"`, `{}`), mailgunEventJSON(`"event":"accepted"`, `{}`), mailgunEventJSON(`"event":"new thing"`, `{}`), `{}`,
	} {
		h, box, guard := newMailgun(t)
		if got := post(t, h, signMailgun(event, unixText(start), mailgunToken)); got != http.StatusOK {
			t.Errorf("%.30s: %d", event, got)
		}
		box.wantNothing(t, feedback.Ignored)
		if len(guard.seen) != 0 {
			t.Error("a token was stored for nothing")
		}
	}
}

func TestMailgunRefusesMalformedEvents(t *testing.T) {
	for _, event := range []string{`null`, `[]`, `"x"`, `{"event":"complained"}`, `{"event":"failed","message":7}`} {
		h, box, _ := newMailgun(t)
		got := post(t, h, signMailgun(event, unixText(start), mailgunToken))
		if event == "null" {
			box.wantNothing(t, feedback.Ignored) // an event that says nothing
			continue
		}
		if got != http.StatusBadRequest {
			t.Errorf("%s: %d", event, got)
		}
		box.wantNothing(t, feedback.Malformed)
	}
	h, box, _ := newMailgun(t)
	whole := signMailgun(`{}`, unixText(start), mailgunToken)
	if got := post(t, h, strings.Replace(whole, `,"event-data":{}`, "", 1)); got != http.StatusBadRequest {
		t.Errorf("no event: %d", got)
	}
	box.wantNothing(t, feedback.Malformed)
}

func TestMailgunForgeriesAreNoticed(t *testing.T) {
	good := signMailgun(mailgunBounce, unixText(start), mailgunToken)
	mac := mailgunMAC(mailgunKey, unixText(start), mailgunToken)
	for name, body := range map[string]string{
		"another time":  strings.Replace(good, unixText(start), unixText(start.Add(time.Second)), 1),
		"another token": strings.Replace(good, mailgunToken, strings.Replace(mailgunToken, "e0", "e1", 1), 1),
		"digit moved":   strings.Replace(strings.Replace(good, unixText(start), unixText(start)[:9], 1), mailgunToken, unixText(start)[9:]+mailgunToken, 1),
		"another key":   strings.Replace(good, mac, mailgunMAC("another key of the same length.....", unixText(start), mailgunToken), 1),
		"no signature":  strings.Replace(good, mac, "", 1),
		"cut signature": strings.Replace(good, mac, mac[:32], 1),
		"more than hex": strings.Replace(good, mac, mac+"z", 1),
		"not hex":       strings.Replace(good, mac, strings.Repeat("z", 64), 1),
		"no object":     `{"event-data":` + mailgunBounce + `}`,
		"short token":   signMailgun(mailgunBounce, unixText(start), "x"),
		"long token":    signMailgun(mailgunBounce, unixText(start), strings.Repeat("x", 129)),
		"odd time":      signMailgun(mailgunBounce, "1772366400.0", mailgunToken),
	} {
		h, box, guard := newMailgun(t)
		if got := post(t, h, body); got != http.StatusForbidden {
			t.Errorf("%s: %d", name, got)
		}
		if len(box.reports)+len(guard.seen) != 0 || len(box.notes) != 1 {
			t.Errorf("%s: something was done: %+v, notes %q", name, box.reports, box.notes)
		}
	}
}

func TestMailgunRefusesOldRequests(t *testing.T) {
	for at, want := range map[time.Time]int{
		start.Add(-time.Hour): http.StatusOK, start.Add(-time.Hour - time.Second): http.StatusForbidden,
		start.Add(5 * time.Minute): http.StatusOK, start.Add(6 * time.Minute): http.StatusForbidden,
	} {
		h, box, guard := newMailgun(t)
		if got := post(t, h, signMailgun(mailgunBounce, unixText(at), mailgunToken)); got != want {
			t.Errorf("%v: %d, want %d", at, got, want)
		}
		if want != http.StatusOK {
			box.wantNothing(t, feedback.Stale)
		} else if !guard.until.After(at.Add(DefaultMailgunWindow)) {
			t.Errorf("the token of %v is forgotten at %v, while it is still accepted", at, guard.until)
		}
	}
}

func TestMailgunTokenSignsOneEventOnly(t *testing.T) {
	h, box, _ := newMailgun(t)
	for range 3 { // Mailgun tries again
		if got := post(t, h, signMailgun(mailgunBounce, unixText(start), mailgunToken)); got != http.StatusOK {
			t.Errorf("the same again: %d", got)
		}
	}
	if len(box.reports) != 3 || box.reports[0].ID != box.reports[2].ID {
		t.Errorf("%d reports, want 3 of one ID", len(box.reports))
	}
	box.reports = nil
	forged := strings.ReplaceAll(mailgunBounce, "Alice@Example.org", "victim@example.org")
	if got := post(t, h, signMailgun(forged, unixText(start), mailgunToken)); got != http.StatusForbidden {
		t.Errorf("another event with the same token: %d", got)
	}
	box.wantNothing(t, feedback.Forbidden)
}

func TestMailgunAsksToRepeatWhenTheGuardFails(t *testing.T) {
	h, box, guard := newMailgun(t)
	guard.fail = errBroken
	if got := post(t, h, signMailgun(mailgunBounce, unixText(start), mailgunToken)); got != http.StatusServiceUnavailable {
		t.Errorf("status %d", got)
	}
	box.wantNothing(t, feedback.Failed)
}

func TestNewMailgunChecks(t *testing.T) {
	for name, cfg := range map[string]MailgunConfig{
		"no key": {Guard: &memoryGuard{}, Receiver: &inbox{}}, "short key": {Key: "x", Guard: &memoryGuard{}, Receiver: &inbox{}},
		"no guard": {Key: mailgunKey, Receiver: &inbox{}}, "no receiver": {Key: mailgunKey, Guard: &memoryGuard{}},
	} {
		if _, err := NewMailgun(cfg); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
