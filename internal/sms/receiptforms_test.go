// SPDX-License-Identifier: Apache-2.0

package sms

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"net"
	"net/http"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// TestReceiptsWithTwoReadings are refused: a parameter twice, one that is not encoded
// as it should be, or a field that is no text.
func TestReceiptsWithTwoReadings(t *testing.T) {
	custom, err := NewReceipts(ReceiptConfig{State: Place{Parameter: "s"}, Arrived: []string{"ok"}}, ReceiptOptions{})
	if err != nil {
		t.Fatal(err)
	}
	form := map[string]string{"Content-Type": "application/x-www-form-urlencoded"}
	document := map[string]string{"Content-Type": "application/json"}
	vonage := newReader(t, "vonage", ReceiptOptions{})
	for name, i := range map[string]struct {
		incoming
		reader ReceiptReader
	}{
		"twilio, an id twice":    {incoming{method: http.MethodPost, body: "MessageStatus=sent&MessageSid=1&MessageSid=2"}, newReader(t, "twilio", ReceiptOptions{})},
		"kannel, an id twice":    {incoming{method: http.MethodGet, query: "state=1&id=1&id=2"}, newReader(t, "kannel", ReceiptOptions{})},
		"vonage, a state twice":  {incoming{method: http.MethodGet, query: "status=failed&status=delivered"}, vonage},
		"vonage, a list":         {incoming{method: http.MethodPost, body: `{"status":"failed","x":[]}`, header: document}, vonage},
		"custom, a state twice":  {incoming{method: http.MethodGet, query: "s=ok&s=no"}, custom},
		"custom, the query":      {incoming{method: http.MethodGet, query: "s=ok&x=%zz"}, custom},
		"custom, the form":       {incoming{method: http.MethodPost, body: "s=ok&x=%zz", header: form}, custom},
		"custom, no state":       {incoming{method: http.MethodPost, body: "why=1", header: form}, custom},
		"custom, no form at all": {incoming{method: http.MethodPost, body: "s=ok"}, custom},
	} {
		wantRefusal(t, name, i.incoming, i.reader, ErrReceipt)
	}
	wantReceipt(t, incoming{method: http.MethodPost, body: `{"status":"failed","err-code":5,"price":0.03,"more":null}`, header: document}, vonage, Receipt{State: Undelivered, Code: "5"})
	named, err := NewReceipts(ReceiptConfig{State: Place{Parameter: "s"}, Arrived: []string{"ok"}}, ReceiptOptions{User: "u", Password: "pa55word"})
	if err != nil {
		t.Fatal(err)
	}
	wantRefusal(t, "custom, no name and password", incoming{method: http.MethodGet, query: "s=ok"}, named, ErrForged)
	if _, err := NewReceipts(ReceiptConfig{State: Place{Parameter: "s"}, Arrived: []string{"ok"}}, ReceiptOptions{Secret: "pa55word"}); err == nil {
		t.Error("a secret without a header for the signature is taken")
	}
}

// TestSignaturesWithMoreBehindThem are none, although what is before it is one.
func TestSignaturesWithMoreBehindThem(t *testing.T) {
	const now, body = "1777636800", `{"s":"ok"}`
	for _, more := range []string{"", "!", "zz", "\x00"} {
		want := map[bool]error{true: nil, false: ErrForged}[more == ""]
		check := func(name string, i incoming, reader ReceiptReader) {
			t.Helper()
			if _, err := i.read(t, reader); !errors.Is(err, want) && !(want == nil && errors.Is(err, ErrReceipt)) {
				t.Errorf("%s with %q: got %v, want %v", name, more, err, want)
			}
		}
		i := incoming{method: http.MethodPost, body: body}
		custom, err := NewReceipts(ReceiptConfig{State: Place{Pointer: "/s"}, Arrived: []string{"ok"}, SignatureHeader: "X-Sig"}, ReceiptOptions{Secret: "pa55word"})
		if err != nil {
			t.Fatal(err)
		}
		check("custom", i.with("X-Sig", hex.EncodeToString(macOf(sha256.New, "pa55word", body))+more), custom)
		check("custom", i.with("X-Sig", base64.StdEncoding.EncodeToString(macOf(sha256.New, "pa55word", body))+more), custom)
		sinch := i.with("X-Sinch-Webhook-Signature", base64.StdEncoding.EncodeToString(macOf(sha256.New, "pa55word", body+".n1."+now))+more)
		check("sinch", sinch.with("X-Sinch-Webhook-Signature-Nonce", "n1").with("X-Sinch-Webhook-Signature-Timestamp", now), newReader(t, "sinch", ReceiptOptions{Secret: "pa55word"}))
		key := base64.StdEncoding.EncodeToString([]byte("pa55word"))
		bird := i.with("Webhook-Signature", "v1,"+base64.StdEncoding.EncodeToString(macOf(sha256.New, "pa55word", "m1."+now+"."+body))+more)
		check("bird", bird.with("Webhook-Id", "m1").with("Webhook-Timestamp", now), newReader(t, "bird", ReceiptOptions{Secret: "whsec_" + key}))
		sum := sha256.Sum256([]byte(body))
		vonage := i.with("Content-Type", "application/json")
		claims := `{"iat":` + now + `,"payload_hash":"` + hex.EncodeToString(sum[:]) + more + `"}`
		if more == "\x00" {
			continue // JSON knows no such letter
		}
		check("vonage", vonage.with("Authorization", "Bearer "+token(`{"alg":"HS256"}`, claims, "pa55word")), newReader(t, "vonage", ReceiptOptions{Secret: "pa55word"}))
		signature := hex.EncodeToString(macOf(sha256.New, "pa55word", "&status=failed&timestamp="+now)) + more
		check("vonage", incoming{method: http.MethodGet, query: "status=failed&timestamp=" + now + "&sig=" + signature}, newReader(t, "vonage", ReceiptOptions{Secret: "pa55word"}))
		twice := incoming{method: http.MethodGet, query: "status=failed&timestamp=" + now + "&sig=" + signature + "&sig=" + signature}
		wantRefusal(t, "vonage, signed twice", twice, newReader(t, "vonage", ReceiptOptions{Secret: "pa55word"}), ErrForged)
	}
}

// TestSendErrorsSayWhatTheyAre to the outbox.
func TestSendErrorsSayWhatTheyAre(t *testing.T) {
	for _, on := range []bool{true, false} {
		e := &SendError{Reason: ReasonRate, Again: on, Unsure: on, Fault: on, Wait: 3}
		if e.Temporary() != on || e.Uncertain() != on || e.Operator() != on || e.RetryAfter() != 3 {
			t.Errorf("%+v says something else", e)
		}
	}
	for want, e := range map[string]*SendError{
		"sms: rate-limited": {Reason: ReasonRate}, "sms gateway a: lost": {Reason: ReasonLost, Gateway: "a"}, "sms: lost (status 500)": {Reason: ReasonLost, Status: 500},
		"sms gateway a: lost (status 1): unexpected": {Reason: ReasonLost, Gateway: "a", Status: 1, Err: errors.New("unexpected")},
	} {
		if e.Error() != want {
			t.Errorf("got %q, want %q", e.Error(), want)
		}
	}
	ctx, cancel := context.WithDeadline(t.Context(), time.Unix(1, 0))
	defer cancel()
	_, err := NewFile(t.TempDir()).Send(ctx, message())
	if got, _ := errors.AsType[*SendError](err); got == nil || outcomeOf(got) != (outcome{reason: ReasonTimeout, again: true}) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v for a file after its time", err)
	}
}

// stubborn is a connection that takes nothing more once it is told so.
type stubborn struct {
	net.Conn
	ended *atomic.Bool
}

func (s stubborn) Write(p []byte) (int, error) {
	if s.ended.Load() {
		return 0, syscall.EPIPE
	}
	return s.Conn.Write(p)
}

// TestAKeptConnectionThatTakesNothingIsReplaced, once: nothing of the message was sent.
func TestAKeptConnectionThatTakesNothingIsReplaced(t *testing.T) {
	d := startDouble(t, says(http.StatusOK, ""))
	h := newHTTP(t, simple(d.URL))
	var ended, all atomic.Bool
	dials := 0
	h.transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		dials++
		conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
		mine := &ended
		if dials > 1 {
			mine = &all
		}
		return &counted{Conn: stubborn{conn, mine}}, err
	}
	for i := range 3 {
		if _, err := h.Send(t.Context(), message()); err != nil {
			t.Fatal(err)
		}
		if want := min(i+1, 2); dials != want {
			t.Errorf("after %d messages there were %d connections, want %d", i+1, dials, want)
		}
		ended.Store(true)
	}
	all.Store(true) // the new one is no better, and neither would be the next
	if h.transport.CloseIdleConnections(); d.count() != 3 {
		t.Errorf("%d messages came, want 3", d.count())
	}
	if got := refusedBy(t, h, message()); outcomeOf(got) != (outcome{reason: ReasonLost, again: true}) || dials != 3 {
		t.Errorf("got %+v after %d connections", got, dials)
	}
}

// TestWhatHasNoPlaceInAPathIsNotSent.
func TestWhatHasNoPlaceInAPathIsNotSent(t *testing.T) {
	d := startDouble(t, says(http.StatusOK, ""))
	m := message()
	m.From = ".."
	if got := refusedBy(t, newHTTP(t, HTTPConfig{URL: d.URL + "/{from}"}), m); outcomeOf(got) != (outcome{reason: ReasonRejected}) || d.count() != 0 {
		t.Errorf("got %+v after %d requests", got, d.count())
	}
	if _, err := NewHTTP(HTTPConfig{URL: d.URL, Body: Body{Type: BodyJSON, Fields: []Field{{Name: "{to}"}}}}); err == nil {
		t.Error("a field that is named by a placeholder is taken")
	}
}
