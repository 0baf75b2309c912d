// SPDX-License-Identifier: Apache-2.0

package sms

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"hash"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

func macOf(method func() hash.Hash, key, text string) []byte {
	mac := hmac.New(method, []byte(key))
	mac.Write([]byte(text))
	return mac.Sum(nil)
}

func TestDescribedReceipts(t *testing.T) {
	words := ReceiptConfig{Arrived: []string{"ok", "1"}, Undelivered: []string{"bad"}}
	byQuery, byPointer := words, words
	byQuery.State = Place{Parameter: "s"}
	byPointer.State = Place{Pointer: "/a/0/s"}
	build := func(cfg ReceiptConfig, o ReceiptOptions) ReceiptReader {
		t.Helper()
		reader, err := NewReceipts(cfg, o)
		if err != nil {
			t.Fatal(err)
		}
		return reader
	}
	reader := build(byQuery, ReceiptOptions{})
	for word, want := range map[string]ReceiptState{"ok": Arrived, "1": Arrived, "bad": Undelivered, "wait": Unknown, "OK": Unknown, "x": Unknown} {
		wantReceipt(t, incoming{method: http.MethodGet, query: "s=" + word + "&id=7&why=E+1"}, reader, Receipt{State: want})
	}
	form := map[string]string{"Content-Type": "application/x-www-form-urlencoded"}
	wantReceipt(t, incoming{method: http.MethodPost, body: "s=ok", header: form}, reader, Receipt{State: Arrived})
	wantRefusal(t, "query and form", incoming{method: http.MethodPost, query: "s=bad", body: "s=ok", header: form}, reader, ErrReceipt)
	wantRefusal(t, "no state", incoming{method: http.MethodGet, query: "id=1"}, reader, ErrReceipt)
	wantReceipt(t, incoming{method: http.MethodPost, body: `{"a":[{"s":1}],"id":"x"}`}, build(byPointer, ReceiptOptions{}), Receipt{State: Arrived})

	byPointer.SignatureHeader, byQuery.SignatureHeader = "X-Sig", "X-Sig"
	reader = build(byPointer, ReceiptOptions{Secret: "pa55word"})
	const body = `{"a":[{"s":"bad"}]}`
	mac := macOf(sha256.New, "pa55word", body)
	i := incoming{method: http.MethodPost, body: body}
	for _, good := range []string{hex.EncodeToString(mac), "sha256=" + hex.EncodeToString(mac), base64.StdEncoding.EncodeToString(mac)} {
		wantReceipt(t, i.with("X-Sig", good), reader, Receipt{State: Undelivered})
	}
	for _, bad := range []string{"", "x", hex.EncodeToString(mac[:31]), hex.EncodeToString(macOf(sha256.New, "x", body))} {
		wantRefusal(t, bad, i.with("X-Sig", bad), reader, ErrForged)
	}
	// A signature over the body says nothing about the query.
	reader = build(byQuery, ReceiptOptions{Secret: "pa55word"})
	i.query = "s=ok"
	wantRefusal(t, "query", i.with("X-Sig", hex.EncodeToString(mac)), reader, ErrReceipt)
	empty := incoming{method: http.MethodGet, query: "s=ok"}
	wantRefusal(t, "empty", empty.with("X-Sig", hex.EncodeToString(macOf(sha256.New, "pa55word", ""))), reader, ErrForged)

	for name, cfg := range map[string]ReceiptConfig{
		"no state":   {Arrived: []string{"1"}},
		"no words":   {State: Place{Parameter: "s"}},
		"two places": {State: Place{Parameter: "s", Pointer: "/s"}, Arrived: []string{"1"}},
		"pointer":    {State: Place{Pointer: "s"}, Arrived: []string{"1"}},
		"word twice": {State: Place{Parameter: "s"}, Arrived: []string{"1"}, Undelivered: []string{"1"}},
		"no secret":  {State: Place{Parameter: "s"}, Arrived: []string{"1"}, SignatureHeader: "X"},
	} {
		if _, err := NewReceipts(cfg, ReceiptOptions{}); err == nil {
			t.Errorf("%s: got no error", name)
		}
	}
}

// What a gateway writes does not come back longer or odder than it may.
func TestReceiptsKeepWordsOnly(t *testing.T) {
	reader := newReader(t, "twilio", ReceiptOptions{})
	form := url.Values{"MessageStatus": {"failed"}, "MessageSid": {"a\nb"}, "ErrorCode": {strings.Repeat("9", 65)}, "RawDlrDoneDate": {"yesterday"}}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, receipt, nil)
	got, err := reader.Read(r, []byte(form.Encode()), receipt)
	if err != nil || got != (Receipt{State: Undelivered}) {
		t.Errorf("got %+v, %v", got, err)
	}
}
