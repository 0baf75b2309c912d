// SPDX-License-Identifier: Apache-2.0

package sms

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

// The moment of the tests, and a clock that stands there.
var (
	today = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	clock = func() time.Time { return today }
)

// incoming is a request that brings a receipt.
type incoming struct {
	method, query, body string
	header              map[string]string
}

func (i incoming) read(t *testing.T, reader ReceiptReader) (Receipt, error) {
	t.Helper()
	address := receipt
	if i.query != "" {
		address += "&" + i.query
	}
	r := httptest.NewRequestWithContext(t.Context(), i.method, address, strings.NewReader(i.body))
	for name, value := range i.header {
		r.Header.Set(name, value)
	}
	out, err := reader.Read(r, []byte(i.body), address)
	if err != nil && !errors.Is(err, ErrForged) && !errors.Is(err, ErrReceipt) {
		t.Errorf("got %v, want one of the two outcomes", err)
	}
	wantDiscreet(t, err)
	return out, err
}

// with returns a copy with one header more.
func (i incoming) with(name, value string) incoming {
	header := map[string]string{name: value}
	for n, v := range i.header {
		if n != name {
			header[n] = v
		}
	}
	i.header = header
	return i
}

func newReader(t *testing.T, name string, o ReceiptOptions) ReceiptReader {
	t.Helper()
	if o.Now == nil {
		o.Now = clock
	}
	reader, err := Vendors[name].Receipts(o)
	if err != nil {
		t.Fatal(err)
	}
	return reader
}

func wantReceipt(t *testing.T, i incoming, reader ReceiptReader, want Receipt) {
	t.Helper()
	got, err := i.read(t, reader)
	if err != nil || got != want {
		t.Errorf("%+v:\n got %+v, %v\nwant %+v", i, got, err, want)
	}
}

func wantRefusal(t *testing.T, name string, i incoming, reader ReceiptReader, want error) {
	t.Helper()
	if got, err := i.read(t, reader); !errors.Is(err, want) || got != (Receipt{}) {
		t.Errorf("%s: got %+v, %v, want %v", name, got, err, want)
	}
}

// Without a secret, what is read is read; basic authentication holds for all.
func TestReceiptsByBasicAuthentication(t *testing.T) {
	good := map[string]incoming{
		"twilio":  {method: http.MethodPost, body: "MessageStatus=delivered&MessageSid=SM1"},
		"vonage":  {method: http.MethodPost, body: "status=delivered&messageId=SM1"},
		"infobip": {method: http.MethodPost, body: `{"results":[{"messageId":"SM1","status":{"groupName":"DELIVERED"},"error":{"name":"NO_ERROR"}}]}`},
		"bird":    {method: http.MethodPost, body: `{"type":"sms.delivered","data":{"sms_id":"SM1"}}`},
		"sinch":   {method: http.MethodPost, body: `{"type":"recipient_delivery_report_sms","batch_id":"SM1","status":"Delivered","code":0}`},
		"kannel":  {method: http.MethodGet, query: "state=1&id=SM1"},
	}
	if len(good) != len(Vendors) {
		t.Fatalf("got %d vendors, want %d", len(Vendors), len(good))
	}
	for name, i := range good {
		wantReceipt(t, i, newReader(t, name, ReceiptOptions{}), Receipt{State: Arrived, GatewayID: "SM1"})
		reader := newReader(t, name, ReceiptOptions{User: "u", Password: "pa55word"})
		wantRefusal(t, name, i, reader, ErrForged)
		wantReceipt(t, i.with("Authorization", "Basic dTpwYTU1d29yZA=="), reader, Receipt{State: Arrived, GatewayID: "SM1"})
		for _, bad := range []string{"Basic dTp4", "Basic eDpwYTU1d29yZA==", "Bearer dTpwYTU1d29yZA==", "Basic"} {
			wantRefusal(t, name, i.with("Authorization", bad), reader, ErrForged)
		}
		// And nothing at all is no receipt.
		wantRefusal(t, name, incoming{method: http.MethodPost}, newReader(t, name, ReceiptOptions{}), ErrReceipt)
		wantRefusal(t, name, incoming{method: http.MethodPost, query: "%zz", body: "%zz"}, newReader(t, name, ReceiptOptions{}), ErrReceipt)
	}
	for _, name := range []string{"infobip", "kannel"} {
		if _, err := Vendors[name].Receipts(ReceiptOptions{Secret: "pa55word"}); err == nil {
			t.Errorf("%s: got no error for a secret that verifies nothing", name)
		}
	}
}

// The words of each vendor, as documented.
func TestReceiptStates(t *testing.T) {
	form := func(name string) func(string) incoming {
		return func(word string) incoming {
			return incoming{method: http.MethodPost, body: url.Values{name: {word}}.Encode()}
		}
	}
	text := func(before, after string) func(string) incoming {
		return func(word string) incoming { return incoming{method: http.MethodPost, body: before + word + after} }
	}
	for name, tt := range map[string]struct {
		make  func(string) incoming
		words map[string]ReceiptState
	}{
		"twilio": {form("MessageStatus"), map[string]ReceiptState{
			"queued": Underway, "accepted": Underway, "scheduled": Underway, "sending": Underway, "sent": Underway, "delivered": Arrived, "read": Arrived,
			"undelivered": Undelivered, "failed": Undelivered, "canceled": Undelivered, "news": Unknown,
		}},
		"vonage": {form("status"), map[string]ReceiptState{
			"delivered": Arrived, "expired": Undelivered, "failed": Undelivered, "rejected": Undelivered, "deleted": Undelivered, "accepted": Underway,
			"buffered": Underway, "unknown": Unknown,
		}},
		"infobip": {text(`{"results":[{"status":{"groupName":"`, `"}}]}`), map[string]ReceiptState{
			"DELIVERED": Arrived, "UNDELIVERABLE": Undelivered, "EXPIRED": Undelivered, "REJECTED": Undelivered, "PENDING": Underway, "ACCEPTED": Underway, "X": Unknown,
		}},
		"bird": {text(`{"type":"`, `","data":{}}`), map[string]ReceiptState{
			"sms.delivered": Arrived, "sms.undelivered": Undelivered, "sms.failed": Undelivered, "sms.rejected": Undelivered, "sms.expired": Undelivered,
			"sms.accepted": Underway, "sms.sent": Underway, "sms.received": Unknown, "email.delivered": Unknown,
		}},
		"sinch": {text(`{"type":"recipient_delivery_report_sms","status":"`, `"}`), map[string]ReceiptState{
			"Delivered": Arrived, "DELIVERED": Arrived, "Queued": Underway, "Dispatched": Underway, "Aborted": Undelivered, "Cancelled": Undelivered,
			"Failed": Undelivered, "Expired": Undelivered, "Rejected": Undelivered, "Deleted": Undelivered, "Unknown": Unknown,
		}},
		"kannel": {func(word string) incoming { return incoming{method: http.MethodGet, query: "state=" + word} }, map[string]ReceiptState{
			"1": Arrived, "2": Undelivered, "4": Underway, "8": Underway, "16": Undelivered, "34": Undelivered, "66": Unknown, "0": Unknown,
		}},
	} {
		reader := newReader(t, name, ReceiptOptions{})
		for word, want := range tt.words {
			if got, err := tt.make(word).read(t, reader); err != nil || got.State != want {
				t.Errorf("%s %s: got %d, %v, want %d", name, word, got.State, err, want)
			}
		}
	}
}

func TestReceiptTimes(t *testing.T) {
	o := ReceiptOptions{Now: clock}.withDefaults()
	for text, want := range map[string]bool{
		"1777636800": true, "1777636500": true, "1777637100": true, "1777636499": false, "1777637101": false,
		"": false, "x": false, "0": false, "-1": false, "1777636800.5": false, "99999999999999999999": false, "999999999999999": false, " 1777636800": false,
	} {
		if got := o.fresh(text); got != want {
			t.Errorf("%q: got %t, want %t", text, got, want)
		}
	}
}
