// SPDX-License-Identifier: Apache-2.0

package dsn

import (
	"bytes"
	"encoding/base64"
	"errors"
	"os"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/feedback"
)

const (
	alice = "alice@example.net"
	tag   = "thetag"
	ourID = "abc123@example.org"
)

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func sample(t testing.TB, name string) string {
	t.Helper()
	raw, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// crlf is a mail with the line ends of the wire.
func crlf(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") }

// one parses a mail that has one report, with either line end, and returns it
// without its ID.
func one(t *testing.T, raw string) feedback.Report {
	t.Helper()
	var first feedback.Report
	for i, text := range []string{raw, crlf(raw)} {
		got, err := Parse([]byte(text), tag, now)
		if err != nil || len(got) != 1 {
			t.Fatalf("Parse = %+v, %v, want one report (CRLF: %t)", got, err, i == 1)
		}
		if got[0].ID == "" {
			t.Error("no ID")
		}
		if i == 0 {
			first = got[0]
		} else if got[0] != first {
			t.Errorf("with CRLF %+v, without %+v", got[0], first)
		}
	}
	first.ID = ""
	return first
}

func TestReportsOfRealServers(t *testing.T) {
	at := now.Add(-2 * time.Second)
	for name, want := range map[string]feedback.Report{
		"postfix_failed.eml":  {Kind: feedback.Bounce, Permanent: true, Code: "5.1.1", At: at},
		"postfix_delayed.eml": {Kind: feedback.Deferred, Code: "4.4.1", At: now.Add(-30 * time.Minute)},
		"exim_failed.eml":     {Kind: feedback.Bounce, Permanent: true, Code: "5.1.1", At: at},
		"exchange_failed.eml": {Kind: feedback.Bounce, Permanent: true, Code: "5.1.10", At: at},
		"sendmail_full.eml":   {Kind: feedback.Bounce, Permanent: true, Code: "5.2.2", At: now.Add(-3 * time.Second)},
		"arf_abuse.eml":       {Kind: feedback.Complaint, At: now.Add(-10 * time.Minute)},
		"exim_old.eml":        {Kind: feedback.Bounce, Permanent: true, Code: "5.0.0", At: at},
	} {
		t.Run(name, func(t *testing.T) {
			want.Address, want.VERPTag, want.MessageID = alice, tag, ourID
			if name == "exim_old.eml" {
				want.MessageID = "" // that of the copy is prose
			}
			if got := one(t, sample(t, name)); !reflect.DeepEqual(got, want) {
				t.Errorf("report\n got %+v\nwant %+v", got, want)
			}
		})
	}
}

func TestMailsThatAreNoReports(t *testing.T) {
	for name, raw := range map[string]string{
		"vacation": sample(t, "vacation.eml"), "empty": "", "no header": "\n\nhello", "plain": "Subject: hi\n\n5.1.1\n",
		"report without a status": "Content-Type: multipart/report; report-type=delivery-status; boundary=x\n\n--x\n\ntext\n--x--\n",
		"status in the text":      "Content-Type: text/plain\n\nFinal-Recipient: rfc822; alice@example.net\nAction: failed\nStatus: 5.1.1\n",
		"no boundary":             "Content-Type: multipart/report\n\n--x\nContent-Type: message/delivery-status\n\nAction: failed\n--x--\n",
		"binary":                  "\x00\xff\xfe\n\n\x00",
	} {
		if got, err := Parse([]byte(raw), tag, now); !errors.Is(err, ErrNotReport) || got != nil {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

func TestABounceInsideOfTheReturnedMessageIsNotRead(t *testing.T) {
	inner := sample(t, "postfix_failed.eml")
	raw := "Content-Type: multipart/mixed; boundary=outer\n\n--outer\nContent-Type: message/rfc822\n\n" + inner + "\n--outer--\n"
	if got, err := Parse([]byte(raw), tag, now); !errors.Is(err, ErrNotReport) {
		t.Errorf("%+v, %v", got, err)
	}
}

// status wraps a delivery status in the least that a report needs.
func status(text string, headers ...string) string {
	return "Date: Sun, 1 Mar 2026 11:00:00 +0000\nContent-Type: multipart/report; boundary=b\n\n--b\nContent-Type: message/delivery-status\n" +
		strings.Join(headers, "\n") + "\n" + text + "\n--b--\n"
}

func TestActionsAndCodes(t *testing.T) {
	at := now.Add(-time.Hour)
	group := "\nFinal-Recipient: rfc822; alice@example.net\n"
	bounce := func(permanent bool, code string) feedback.Report {
		return feedback.Report{Kind: feedback.Bounce, Permanent: permanent, Code: code, At: at}
	}
	for name, tt := range map[string]struct {
		text string
		want feedback.Report
	}{
		"failed":                        {group + "Action: failed\nStatus: 5.1.1\n", bounce(true, "5.1.1")},
		"failed after many tries":       {group + "Action: failed\nStatus: 4.4.7\n", bounce(false, "4.4.7")},
		"failed, and nothing else":      {group + "Action: failed\n", bounce(false, "")},
		"comment behind the action":     {group + "Action: Failed (sorry)\nStatus: 5.1.1 (bad mailbox)\n", bounce(true, "5.1.1")},
		"no action":                     {group + "Status: 5.1.1\n", bounce(true, "5.1.1")},
		"status only in the diagnosis":  {group + "Action: failed\nDiagnostic-Code: smtp; 550 5.2.1 disabled\n", bounce(true, "5.2.1")},
		"diagnosis says it is passing":  {group + "Action: failed\nStatus: 5.0.0\nDiagnostic-Code: smtp; 451 4.3.0 busy\n", bounce(false, "4.3.0")},
		"status out of the grammar":     {group + "Action: failed\nStatus: 5.1\nDiagnostic-Code: smtp; 550 no\n", bounce(true, "5.0.0")},
		"fields in any case":            {"\nFINAL-RECIPIENT: RFC822; Alice@Example.NET\nACTION: FAILED\nSTATUS: 5.1.1\n", bounce(true, "5.1.1")},
		"space before the colon":        {"\nFinal-Recipient : rfc822; alice@example.net\nAction : failed\nStatus : 5.1.1\n", bounce(true, "5.1.1")},
		"no blank line between groups":  {"\nReporting-MTA: dns; x" + group + "Action: failed\nStatus: 5.1.1\n", bounce(true, "5.1.1")},
		"three blank lines":             {"\n\n\n\nReporting-MTA: dns; x\n \n\n" + group + "Action: failed\nStatus: 5.1.1\n\n\n", bounce(true, "5.1.1")},
		"a line that is no field":       {group + "this is no field\nAction: failed\nStatus: 5.1.1\n", bounce(true, "5.1.1")},
		"address without a type":        {"\nFinal-Recipient: <alice@example.net>\nAction: failed\nStatus: 5.1.1\n", bounce(true, "5.1.1")},
		"forwarded":                     {"\nOriginal-Recipient: rfc822; alice@example.net\nFinal-Recipient: rfc822; x@example.com\nAction: failed\nStatus: 5.1.1\n", bounce(true, "5.1.1")},
		"original in xtext":             {"\nOriginal-Recipient: rfc822; alice+40example.net\nFinal-Recipient: rfc822; alice@example.net\nAction: failed\nStatus: 5.1.1\n", bounce(true, "5.1.1")},
		"internationalised":             {"\nFinal-Recipient: utf-8; alice@example.net\nAction: failed\nStatus: 5.1.1\n", bounce(true, "5.1.1")},
		"delivered":                     {group + "Action: delivered\nStatus: 2.1.5\n", feedback.Report{Kind: feedback.Delivered, Code: "2.1.5", At: at}},
		"delayed":                       {group + "Action: delayed\nStatus: 4.2.2\n", feedback.Report{Kind: feedback.Deferred, Code: "4.2.2", At: at}},
		"delayed, says the status only": {group + "Status: 4.2.2\n", feedback.Report{Kind: feedback.Deferred, Code: "4.2.2", At: at}},
	} {
		t.Run(name, func(t *testing.T) {
			tt.want.Address, tt.want.VERPTag = alice, tag
			if got := one(t, status(tt.text)); !reflect.DeepEqual(got, tt.want) {
				t.Errorf("report\n got %+v\nwant %+v", got, tt.want)
			}
		})
	}
}

func TestActionsThatAreNoNews(t *testing.T) {
	for _, action := range []string{"relayed", "expanded", "pondered"} {
		raw := status("\nFinal-Recipient: rfc822; alice@example.net\nAction: " + action + "\nStatus: 2.0.0\n")
		if got, err := Parse([]byte(raw), tag, now); err != nil || len(got) != 0 {
			t.Errorf("%s: %+v, %v", action, got, err)
		}
	}
}

func TestXtextIsUndoneWhereItIsOne(t *testing.T) {
	for in, want := range map[string]string{
		"rfc822; alice+tag@example.net": "alice+tag@example.net", "rfc822; alice+2Btag@example.net": "alice+tag@example.net",
		"rfc822; alice+0Aevil@example.net": "alice+0aevil@example.net", "rfc822; nobody": "", "x400; /c=de/": "", "": "",
		"rfc822; alice+40evil.example": "", "rfc822; alice+4": "",
	} {
		if got := recipient(in); got != want {
			t.Errorf("recipient(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestTransferEncodings(t *testing.T) {
	text := "Reporting-MTA: dns; x\n\nFinal-Recipient: rfc822; alice@example.net\nAction: failed\nStatus: 5.1.1\n"
	encoded := base64.StdEncoding.EncodeToString([]byte(text))
	for name, raw := range map[string]string{
		"base64":            status("\n"+encoded[:60]+"\n"+encoded[60:], "Content-Transfer-Encoding: BASE64"),
		"quoted-printable":  status("\n"+strings.ReplaceAll(text, "=", "=3D")+"X-Long: a=\nb", "Content-Transfer-Encoding: quoted-printable"),
		"base64, then junk": status("\n"+encoded+"\n!!!", "Content-Transfer-Encoding: base64"),
		"8bit":              status("\n"+text, "Content-Transfer-Encoding: 8bit"),
	} {
		if got := one(t, raw); got.Code != "5.1.1" || got.Address != alice {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestReportsThatAreBroken(t *testing.T) {
	whole := sample(t, "postfix_failed.eml")
	cut := whole[:strings.Index(whole, "Diagnostic-Code")]
	for name, raw := range map[string]string{
		"cut in the middle": cut, "mbox": "From MAILER-DAEMON Sun Mar  1 11:59:58 2026\n" + whole,
		"a header line that is none": strings.Replace(whole, "MIME-Version", "??? what\nMIME-Version", 1),
		"parameters out of grammar": strings.Replace(whole, "boundary=\"5F6A7B8C9D.1772366398/mail.example.org\"",
			"boundary=5F6A7B8C9D.1772366398/mail.example.org; x=@@", 1),
	} {
		got := one(t, raw)
		if got.Code != "5.1.1" || got.Kind != feedback.Bounce || got.Address != alice {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestComplaints(t *testing.T) {
	whole := sample(t, "arf_abuse.eml")
	for kind, want := range map[string]int{"Abuse (really)": 1, "fraud": 1, "opt-out": 1, "not-spam": 0, "auth-failure": 0, "virus": 0, "": 0} {
		raw := strings.Replace(whole, "Feedback-Type: abuse", "Feedback-Type: "+kind, 1)
		if got, err := Parse([]byte(raw), tag, now); err != nil || len(got) != want {
			t.Errorf("%q: %+v, %v, want %d", kind, got, err, want)
		}
	}
	redacted := strings.Replace(whole, "<Alice@example.net>\nArrival-Date", "redacted\nRemoval-Recipient: alice@example.net\nReceived-Date", 1)
	if got := one(t, redacted); got.Address != alice || !got.At.Equal(now.Add(-10*time.Minute)) {
		t.Errorf("redacted: %+v", got)
	}
}

func TestFromAndRecipientInTheMailMeanNothing(t *testing.T) {
	raw := strings.NewReplacer("MAILER-DAEMON@mail.example.org", "mallory@evil.example", "bounces+thetag@", "bounces+anothertag@").
		Replace(sample(t, "postfix_failed.eml"))
	if got := one(t, raw); got.VERPTag != tag {
		t.Errorf("tag = %q, want that of the envelope, %q", got.VERPTag, tag)
	}
}

func TestTheSameMailIsTheSameReport(t *testing.T) {
	raw := []byte(sample(t, "postfix_failed.eml"))
	first, err := Parse(raw, tag, now)
	if err != nil {
		t.Fatal(err)
	}
	again, err := Parse(raw, tag, now.Add(24*time.Hour))
	if err != nil || !reflect.DeepEqual(first, again) {
		t.Errorf("%+v, then %+v, %v", first, again, err)
	}
	other, err := Parse(raw, "othertag", now)
	if err != nil || other[0].ID == first[0].ID {
		t.Errorf("another tag has the same ID: %+v, %v", other, err)
	}
}

func TestTimesAreNeverOfTheFuture(t *testing.T) {
	for _, date := range []string{"Tue, 1 Jan 2030 00:00:00 +0000", "garbage", "", strings.Repeat("x", 200)} {
		raw := strings.ReplaceAll(sample(t, "postfix_failed.eml"), "Date: Sun,  1 Mar 2026 11:59:58 +0000 (UTC)", "Date: "+date)
		if got := one(t, raw); !got.At.Equal(now) {
			t.Errorf("%q: at %v, want %v", date, got.At, now)
		}
	}
}

func TestLimits(t *testing.T) {
	if _, err := Parse(make([]byte, MaxMessage+1), tag, now); !errors.Is(err, ErrTooLarge) {
		t.Errorf("too large: %v", err)
	}
	group := "\nFinal-Recipient: rfc822; alice@example.net\nAction: failed\nStatus: 5.1.1\n"
	got, err := Parse([]byte(status(strings.Repeat(group, 100))), tag, now)
	if err != nil || len(got) != maxRecipients {
		t.Errorf("a hundred recipients: %d, %v", len(got), err)
	}
	unseparated := strings.Repeat("Final-Recipient: rfc822; alice@example.net\nAction: failed\n", 100)
	if got, err = Parse([]byte(status("\n"+unseparated)), tag, now); err != nil || len(got) != maxRecipients {
		t.Errorf("a hundred without blank lines: %d, %v", len(got), err)
	}
	old := "X-Failed-Recipients: " + strings.Repeat("alice@example.net,", 100) + "\n\n550 x\n"
	if got, err = Parse([]byte(old), tag, now); err != nil || len(got) != maxRecipients {
		t.Errorf("a hundred of old Exim: %d, %v", len(got), err)
	}
	for depth, want := range map[int]error{maxDepth - 1: nil, maxDepth: ErrNotReport, 500: ErrNotReport} {
		if _, err := Parse([]byte(nested(depth, group)), tag, now); !errors.Is(err, want) {
			t.Errorf("depth %d: %v, want %v", depth, err, want)
		}
	}
	parts := strings.Repeat("--b\n\nx\n", maxParts)
	raw := "Content-Type: multipart/mixed; boundary=b\n\n" + parts + "--b\nContent-Type: message/delivery-status\n" + group + "--b--\n"
	if _, err := Parse([]byte(raw), tag, now); !errors.Is(err, ErrNotReport) {
		t.Errorf("beyond the last part that is looked at: %v", err)
	}
	far := "Content-Type: multipart/report; boundary=b\n\n--b\nContent-Type: message/delivery-status\n\nX: " +
		strings.Repeat("x", maxHeader) + group + "--b--\n"
	if got, err := Parse([]byte(far), tag, now); err != nil || len(got) != 0 {
		t.Errorf("beyond the bytes that are looked at: %+v, %v", got, err)
	}
}

// nested is a delivery status inside of so many multiparts, and one more.
func nested(depth int, group string) string {
	inner := "Content-Type: message/delivery-status\n" + group
	for n := range depth + 1 {
		b := "b" + strconv.Itoa(n)
		inner = "Content-Type: multipart/mixed; boundary=" + b + "\n\n--" + b + "\n" + inner + "\n--" + b + "--\n"
	}
	return inner
}

func TestSplitHeader(t *testing.T) {
	for in, want := range map[string][2]string{
		"a: b\n\nc": {"a: b\n", "c"}, "a: b\r\n\r\nc": {"a: b\r\n", "c"}, "a: b": {"a: b", ""}, "\nc": {"", "c"}, "\r\nc": {"", "c"},
		"a: b\r\n\r\nc\n\nd": {"a: b\r\n", "c\n\nd"}, "a: b\n\nc\r\n\r\nd": {"a: b\n", "c\r\n\r\nd"}, "": {"", ""},
	} {
		head, body := splitHeader([]byte(in))
		if string(head) != want[0] || string(body) != want[1] {
			t.Errorf("splitHeader(%q) = %q, %q, want %q", in, head, body, want)
		}
	}
}

func TestParseHeaderForgives(t *testing.T) {
	got := parseHeader([]byte("From x Sun\nA: 1\n  2\n\t3\r\nB:\nno field\nA: other\n: empty\nC D: x\nE : y\n continued"))
	want := header{"a": "1 2 3", "b": "", "e": "y continued"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("parseHeader = %q, want %q", got, want)
	}
	long := parseHeader(append([]byte("A: 1\n"), bytes.Repeat([]byte("B: 2\n"), maxHeader)...))
	if len(long) > 3 {
		t.Errorf("%d fields", len(long))
	}
}
