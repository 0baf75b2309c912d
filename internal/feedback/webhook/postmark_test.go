// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/feedback"
)

const (
	postmarkPassword = "correct horse battery"
	postmarkSecret   = "0123456789abcdef0123"
)

var postmarkAuth = basic("postmark", postmarkPassword)

func basic(user, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}

func newPostmark(t testing.TB) (*Postmark, *inbox) {
	t.Helper()
	box := &inbox{}
	p, err := NewPostmark(PostmarkConfig{
		Username: "postmark", Password: postmarkPassword, Header: "X-Threepid-Secret", Secret: postmarkSecret, Receiver: box,
	})
	if err != nil {
		t.Fatal(err)
	}
	return p, box
}

const postmarkHardBounce = `{"RecordType":"Bounce","MessageStream":"outbound","ID":4323372036854775807,"Type":"HardBounce","TypeCode":1,
	"Name":"Hard bounce","Tag":"","MessageID":"883953f4-6105-42a2-a16a-77a8eac79483","Metadata":{"threepid-tag":"` + ourTag + `"},
	"ServerID":23,"Description":"The server was unable to deliver your message (ex: unknown user, mailbox not found).",
	"Details":"smtp;550 5.1.1 The email account that you tried to reach does not exist","Email":"Alice@Example.org",
	"From":"noreply@example.org","BouncedAt":"2026-03-01T06:59:58.1234567-05:00","DumpAvailable":true,"Inactive":true,"CanActivate":true,
	"Subject":"Confirm","Content":"<Full dump of bounce>"}`

func TestPostmarkReadsWhatItsDocumentationShows(t *testing.T) {
	at := start.Add(-2*time.Second + 123456700)
	hard := feedback.Report{Kind: feedback.Bounce, Permanent: true, Address: alice, VERPTag: ourTag, Code: "5.1.1", At: at}
	soft, complaint, deferred := hard, hard, hard
	soft.Permanent = false
	complaint.Kind, complaint.Permanent, complaint.Code = feedback.Complaint, false, ""
	deferred.Kind, deferred.Permanent = feedback.Deferred, false
	old := hard
	old.VERPTag = ""
	typed := func(kind string) string { return strings.Replace(postmarkHardBounce, "HardBounce", kind, 1) }
	tests := map[string]struct {
		body string
		want feedback.Report
	}{
		"hard":        {postmarkHardBounce, hard},
		"bad address": {typed("BadEmailAddress"), hard},
		"deactivated": {typed("ManuallyDeactivated"), hard},
		"soft":        {typed("SoftBounce"), soft},
		"DNS":         {typed("DnsError"), soft},
		"blocked":     {typed("Blocked"), soft},
		"DMARC":       {typed("DMARCPolicy"), soft},
		"transient":   {typed("Transient"), deferred},
		"complaint, as a bounce": {
			typed("SpamComplaint"), complaint,
		},
		"complaint": {
			strings.Replace(typed("SpamComplaint"), `"RecordType":"Bounce"`, `"RecordType":"SpamComplaint"`, 1), complaint,
		},
		"webhook of old": {
			strings.NewReplacer(`"RecordType":"Bounce",`, "", `"Metadata":{"threepid-tag":"`+ourTag+`"},`, "").Replace(postmarkHardBounce), old,
		},
		"delivery": {
			`{"RecordType":"Delivery","ServerID":23,"MessageStream":"outbound","MessageID":"00000000-0000-0000-0000-000000000000",
			"Recipient":"alice@example.org","Tag":"","DeliveredAt":"2026-03-01T11:59:58.1234567Z","Details":"Test delivery webhook details",
			"Metadata":{"threepid-tag":"` + ourTag + `"}}`,
			feedback.Report{Kind: feedback.Delivered, Address: alice, VERPTag: ourTag, At: at},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			h, box := newPostmark(t)
			got := post(t, h, tt.body, "Authorization", postmarkAuth, "X-Threepid-Secret", postmarkSecret)
			if got != http.StatusOK {
				t.Fatalf("status %d, notes %q", got, box.notes)
			}
			box.want(t, tt.want)
		})
	}
}

func TestPostmarkIgnoresWhatIsOfNoInterest(t *testing.T) {
	for _, body := range []string{
		`{"RecordType":"Open","Recipient":"alice@example.org"}`, `{"RecordType":"SubscriptionChange","Recipient":"alice@example.org"}`,
		`{"RecordType":"Bounce","Type":"AutoResponder","Email":"alice@example.org"}`, `{"RecordType":"Bounce","Type":"Vacation","Email":"alice@example.org"}`,
		`{}`, `{"RecordType":{}}`,
	} {
		h, box := newPostmark(t)
		if got := post(t, h, body, "Authorization", postmarkAuth, "X-Threepid-Secret", postmarkSecret); got != http.StatusOK {
			t.Errorf("%s: %d", body, got)
		}
		box.wantNothing(t, feedback.Ignored)
	}
}

func TestPostmarkRefusesMalformedBodies(t *testing.T) {
	for _, body := range []string{"", "{", "[]", `"x"`, `{"RecordType":"Bounce","Type":"HardBounce"}`, postmarkHardBounce[:300]} {
		h, box := newPostmark(t)
		if got := post(t, h, body, "Authorization", postmarkAuth, "X-Threepid-Secret", postmarkSecret); got != http.StatusBadRequest {
			t.Errorf("%.30q: %d", body, got)
		}
		box.wantNothing(t, feedback.Malformed)
	}
}

func TestPostmarkBelievesWhoKnowsAllSecrets(t *testing.T) {
	secret := []string{"X-Threepid-Secret", postmarkSecret}
	tests := map[string][]string{
		"nothing": {}, "password only": {"Authorization", postmarkAuth}, "secret only": secret,
		"wrong password":  append([]string{"Authorization", basic("postmark", postmarkPassword+"x")}, secret...),
		"wrong user":      append([]string{"Authorization", basic("postmar", postmarkPassword)}, secret...),
		"empty password":  append([]string{"Authorization", basic("postmark", "")}, secret...),
		"another scheme":  append([]string{"Authorization", "Bearer " + postmarkPassword}, secret...),
		"wrong secret":    {"Authorization", postmarkAuth, "X-Threepid-Secret", postmarkSecret[:19]},
		"two secrets":     {"Authorization", postmarkAuth, "X-Threepid-Secret", postmarkSecret, "X-Threepid-Secret", postmarkSecret},
		"broken encoding": append([]string{"Authorization", "Basic !"}, secret...),
	}
	for name, headers := range tests {
		h, box := newPostmark(t)
		if got := post(t, h, postmarkHardBounce, headers...); got != http.StatusForbidden {
			t.Errorf("%s: %d", name, got)
		}
		box.wantNothing(t, feedback.Forbidden)
	}
}

func TestPostmarkReadsNoBodyOfStrangers(t *testing.T) {
	h, _ := newPostmark(t)
	body := &countingReader{}
	r := newRequest(body)
	w := newRecorder()
	h.ServeHTTP(w, r)
	if w.Code != http.StatusForbidden || body.n != 0 {
		t.Errorf("%d after %d bytes", w.Code, body.n)
	}
}

func TestPostmarkWithOneSecret(t *testing.T) {
	box := &inbox{}
	byPassword, err := NewPostmark(PostmarkConfig{Username: "u", Password: postmarkPassword, Receiver: box})
	if err != nil {
		t.Fatal(err)
	}
	bySecret, err := NewPostmark(PostmarkConfig{Header: "X-S", Secret: postmarkSecret, Receiver: box})
	if err != nil {
		t.Fatal(err)
	}
	if got := post(t, byPassword, postmarkHardBounce, "Authorization", basic("u", postmarkPassword)); got != http.StatusOK {
		t.Errorf("by password: %d", got)
	}
	if got := post(t, bySecret, postmarkHardBounce, "X-S", postmarkSecret); got != http.StatusOK {
		t.Errorf("by secret: %d", got)
	}
}

func TestNewPostmarkDemandsASecret(t *testing.T) {
	box := &inbox{}
	for name, cfg := range map[string]PostmarkConfig{
		"nothing": {Receiver: box}, "no receiver": {Header: "X", Secret: postmarkSecret},
		"short password": {Username: "u", Password: "short", Receiver: box}, "short secret": {Header: "X", Secret: "short", Receiver: box},
		"secret without header": {Secret: postmarkSecret, Receiver: box}, "header without secret": {Header: "X", Username: "u", Password: postmarkPassword, Receiver: box},
		"no user": {Password: postmarkPassword, Receiver: box}, "user only": {Username: "u", Header: "X", Secret: postmarkSecret, Receiver: box},
	} {
		if _, err := NewPostmark(cfg); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
