// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/feedback"
)

var sendGridKey = sync.OnceValue(func() *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	return key
})

func publicKey(t testing.TB, key any) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(der)
}

func newSendGrid(t testing.TB) (*SendGrid, *inbox) {
	t.Helper()
	box := &inbox{}
	s, err := NewSendGrid(SendGridConfig{PublicKey: publicKey(t, &sendGridKey().PublicKey), Receiver: box, Now: fixed})
	if err != nil {
		t.Fatal(err)
	}
	return s, box
}

// signSendGrid returns the headers for a body.
func signSendGrid(t testing.TB, body, timestamp string) []string {
	t.Helper()
	sum := sha256.Sum256([]byte(timestamp + body))
	signature, err := ecdsa.SignASN1(rand.Reader, sendGridKey(), sum[:])
	if err != nil {
		t.Fatal(err)
	}
	return []string{sendGridSignature, base64.StdEncoding.EncodeToString(signature), sendGridTimestamp, timestamp}
}

// sendGridEventJSON is an event as the reference shows it.
func sendGridEventJSON(fields string) string {
	return `{"email":"Alice@Example.org","timestamp":1772366397,"smtp-id":"<` + ourID + `>","threepid-tag":"` + ourTag + `",
	"category":["x"],"sg_event_id":"2FeCcG5VRWpck6mKqRgnDg==","sg_message_id":"14c5d75ce93.dfd.64b469.filter0001.16648.5515E0B88.0","tls":1,` + fields + `}`
}

func TestSendGridReadsWhatItsReferenceShows(t *testing.T) {
	base := feedback.Report{Address: alice, MessageID: ourID, VERPTag: ourTag, At: start.Add(-3 * time.Second)}
	with := func(edit func(*feedback.Report)) feedback.Report {
		r := base
		edit(&r)
		return r
	}
	tests := map[string]struct {
		event string
		want  feedback.Report
	}{
		"bounce": {
			`"event":"bounce","type":"bounce","status":"5.1.1","reason":"550 5.1.1 unknown recipient","bounce_classification":"Invalid Address"`,
			with(func(r *feedback.Report) { r.Kind, r.Permanent, r.Code = feedback.Bounce, true, "5.1.1" }),
		},
		"bounce with an unhelpful status": {
			`"event":"bounce","status":"5.0.0","reason":"500 unknown recipient"`,
			with(func(r *feedback.Report) { r.Kind, r.Permanent, r.Code = feedback.Bounce, true, "5.0.0" }),
		},
		"status of a full mailbox": {
			`"event":"bounce","type":"bounce","status":"4.2.2","reason":"452 4.2.2 full"`,
			with(func(r *feedback.Report) { r.Kind, r.Code = feedback.Bounce, "4.2.2" }),
		},
		"blocked": {
			`"event":"bounce","type":"blocked","status":"5.7.1","reason":"550 5.7.1 reputation"`,
			with(func(r *feedback.Report) { r.Kind, r.Code = feedback.Bounce, "5.7.1" }),
		},
		"deferred": {
			`"event":"deferred","response":"400 try again later","attempt":"5","status":4.0`,
			with(func(r *feedback.Report) { r.Kind = feedback.Deferred }),
		},
		"deferred with a code": {
			`"event":"deferred","response":"451 4.7.1 greylisted","attempt":5`,
			with(func(r *feedback.Report) { r.Kind, r.Code = feedback.Deferred, "4.7.1" }),
		},
		"delivered": {`"event":"delivered","response":"250 OK"`, with(func(r *feedback.Report) { r.Kind = feedback.Delivered })},
		"complaint": {`"event":"spamreport"`, with(func(r *feedback.Report) { r.Kind = feedback.Complaint })},
		"dropped, bounced before": {
			`"event":"dropped","reason":"Bounced Address","status":"5.0.0"`,
			with(func(r *feedback.Report) { r.Kind, r.Permanent = feedback.Bounce, true }),
		},
		"dropped, complained before": {
			`"event":"dropped","reason":"Spam Reporting Address"`, with(func(r *feedback.Report) { r.Kind = feedback.Complaint }),
		},
		"dropped for our own fault": {
			`"event":"dropped","reason":"Recipient List over Package Quota"`, with(func(r *feedback.Report) { r.Kind = feedback.Bounce }),
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			h, box := newSendGrid(t)
			body := "[" + sendGridEventJSON(tt.event) + "]\r\n"
			if got := post(t, h, body, signSendGrid(t, body, unixText(start))...); got != http.StatusOK {
				t.Fatalf("status %d, notes %q", got, box.notes)
			}
			box.want(t, tt.want)
		})
	}
}

func TestSendGridReadsTheGoodAmongTheOdd(t *testing.T) {
	h, box := newSendGrid(t)
	body := `[7,null,"x",{"event":"open","email":"alice@example.org"},` + sendGridEventJSON(`"event":"bounce"`) + `,{},` + sendGridEventJSON(`"event":"spamreport"`) + `]`
	if got := post(t, h, body, signSendGrid(t, body, unixText(start))...); got != http.StatusOK || len(box.reports) != 2 {
		t.Fatalf("status %d, %+v", got, box.reports)
	}
	if box.reports[0].ID == box.reports[1].ID {
		t.Error("two events share an ID")
	}
	box.reports = nil
	for _, body := range []string{"[]", `[{"event":"processed"}]`, `[{"event":"teleported"}]`} {
		box.notes = nil
		if got := post(t, h, body, signSendGrid(t, body, unixText(start))...); got != http.StatusOK {
			t.Errorf("%s: %d", body, got)
		}
		box.wantNothing(t, feedback.Ignored)
	}
}

func TestSendGridRefusesMalformedBodies(t *testing.T) {
	for name, body := range map[string]string{
		"empty": "", "object": "{}", "cut": `[{"event":"bounce"`, "text": `"x"`, "too many": "[" + strings.Repeat("0,", maxEvents) + "0]",
	} {
		h, box := newSendGrid(t)
		if got := post(t, h, body, signSendGrid(t, body, unixText(start))...); got != http.StatusBadRequest {
			t.Errorf("%s: %d", name, got)
		}
		box.wantNothing(t, feedback.Malformed)
	}
}

func TestSendGridForgeriesAreNoticed(t *testing.T) {
	body := "[" + sendGridEventJSON(`"event":"bounce"`) + "]"
	good := signSendGrid(t, body, unixText(start))
	edit := func(i int, value string) []string {
		out := append([]string{}, good...)
		out[i] = value
		return out
	}
	for name, tt := range map[string]struct {
		body    string
		headers []string
	}{
		"another body": {strings.Replace(body, "Alice", "Mallory", 1), good}, "a space more": {body + " ", good},
		"another time": {body, edit(3, unixText(start.Add(time.Second)))}, "no signature": {body, good[2:]}, "no time": {body, good[:2]},
		"not base64": {body, edit(1, "!")}, "not ASN.1": {body, edit(1, "AAAA")}, "long": {body, edit(1, strings.Repeat("A", 300))},
		"odd time": {body, edit(3, "+"+unixText(start))}, "two signatures": {body, append(append([]string{}, good...), good[:2]...)},
		"digit moved": {unixText(start)[9:] + body, edit(3, unixText(start)[:9])},
	} {
		h, box := newSendGrid(t)
		if got := post(t, h, tt.body, tt.headers...); got != http.StatusForbidden {
			t.Errorf("%s: %d", name, got)
		}
		if len(box.reports) != 0 || len(box.notes) != 1 {
			t.Errorf("%s: something was done: %+v, notes %q", name, box.reports, box.notes)
		}
	}
}

func TestSendGridRefusesOldRequests(t *testing.T) {
	body := "[" + sendGridEventJSON(`"event":"bounce"`) + "]"
	for at, want := range map[time.Time]int{
		start.Add(-day): http.StatusOK, start.Add(-day - time.Second): http.StatusForbidden, start.Add(6 * time.Minute): http.StatusForbidden,
	} {
		h, box := newSendGrid(t)
		if got := post(t, h, body, signSendGrid(t, body, unixText(at))...); got != want {
			t.Errorf("%v: %d, want %d", at, got, want)
		}
		if want != http.StatusOK {
			box.wantNothing(t, feedback.Stale)
		}
	}
}

func TestSendGridReplaysYieldTheSameReports(t *testing.T) {
	h, box := newSendGrid(t)
	body := "[" + sendGridEventJSON(`"event":"bounce"`) + "]"
	headers := signSendGrid(t, body, unixText(start))
	for range 3 {
		post(t, h, body, headers...)
	}
	if len(box.reports) != 3 || fmt.Sprint(box.reports[0]) != fmt.Sprint(box.reports[2]) {
		t.Errorf("%+v", box.reports)
	}
}

func TestNewSendGridTakesItsKindOfKeyOnly(t *testing.T) {
	other, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, key := range map[string]string{
		"none": "", "not base64": "!", "no key": "AAAA", "RSA": publicKey(t, &rsaKey().PublicKey), "P-384": publicKey(t, &other.PublicKey),
	} {
		if _, err := NewSendGrid(SendGridConfig{PublicKey: key, Receiver: &inbox{}}); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := NewSendGrid(SendGridConfig{PublicKey: publicKey(t, &sendGridKey().PublicKey)}); err == nil {
		t.Error("no receiver: accepted")
	}
}
