// SPDX-License-Identifier: Apache-2.0

package outbox

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

func TestQueue(t *testing.T) {
	q := newQueue(2)
	a, b, c := ref{"00", "o/a"}, ref{"01", "o/a"}, ref{"00", "o/c"}
	for range 3 {
		q.offer(a) // once is enough
	}
	q.offer(b)
	q.offer(c) // no room
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	q.push(ended, c) // no room, and no time to wait
	if len(q.refs) != 2 || len(q.known) != 2 {
		t.Fatalf("queue = %d, known = %v, want a and b", len(q.refs), q.known)
	}
	for range 50 { // a select between two ready cases picks any
		if got, ok := q.take(ended); ok {
			t.Fatalf("%v was taken although it was time to stop", got)
		}
	}
	for _, want := range []ref{a, b} {
		if got, ok := q.take(t.Context()); !ok || got != want {
			t.Errorf("take = %v, %v, want %v", got, ok, want)
		}
	}
	q.push(t.Context(), a) // what was taken may come again
	if got, ok := q.take(t.Context()); !ok || got != a || len(q.known) != 0 {
		t.Errorf("take = %v, %v with %v known, want %v with none", got, ok, q.known, a)
	}
}

// TestWaitForAMessageEndsWithItsContext, with none.
func TestWaitForAMessageEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		soon, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if got, ok := newQueue(1).take(soon); ok {
			t.Errorf("take = %v, want none", got)
		}
	})
}

// TestRecordsAreBoundToTheirPlace: a record opens as it was put, under its own
// key only, and not when anything about it was changed.
func TestRecordsAreBoundToTheirPlace(t *testing.T) {
	c := codec{testKeys(t, 1)}
	m := message(3)
	m.Language, m.Proof = "de", verification.ProofCode
	raw := c.plain(t, &record{Message: m, Tries: 4, NotBefore: 5, Lease: "x", LeaseUntil: 6})[1:]
	seal := func(version byte, body []byte) []byte { return c.keys.Seal("o/k", append([]byte{version}, body...)) }
	good := seal(recordVersion, raw)
	got, err := c.open("o/k", good)
	if err != nil {
		t.Fatal(err)
	}
	if d := got.Message.Expires.Sub(m.Expires).Abs(); d > time.Millisecond {
		t.Errorf("the expiry moved by %s", d)
	}
	got.Message.Created, got.Message.Expires = m.Created, m.Expires
	if want := (record{Message: m, Tries: 4, NotBefore: 5, Lease: "x", LeaseUntil: 6}); *got != want {
		t.Errorf("record = %+v, want %+v", *got, want)
	}
	bad := map[string][]byte{
		"nothing":            nil,
		"empty plain text":   c.keys.Seal("o/k", nil),
		"another version":    seal(2, raw),
		"cut off":            seal(recordVersion, raw[:len(raw)-1]),
		"more than a record": seal(recordVersion, append(bytes.Clone(raw), 0)),
		"an unknown field":   seal(recordVersion, []byte{0xa1, 0x18, 0x63, 0x01}),
		"a field twice":      seal(recordVersion, []byte{0xa2, 0x02, 0x01, 0x02, 0x01}),
		"no length":          seal(recordVersion, []byte{0xbf, 0x02, 0x01, 0xff}),
		"changed":            append(bytes.Clone(good[:len(good)-1]), good[len(good)-1]^1),
	}
	for name, sealed := range bad {
		if _, err := c.open("o/k", sealed); !errors.Is(err, errUnreadable) {
			t.Errorf("open of %s = %v, want errUnreadable", name, err)
		}
	}
	if odd, err := c.open("o/k", seal(recordVersion, []byte{0xa1, 0x04, 0x61, 0xff})); err != nil || odd.Lease != "\xff" {
		t.Errorf("open of a text that is not UTF-8 = %+v, %v", odd, err)
	}
	if _, err := c.open("o/other", good); !errors.Is(err, errUnreadable) {
		t.Errorf("open under another key = %v, want errUnreadable", err)
	}
}

func TestDue(t *testing.T) {
	now := time.UnixMilli(1_000_000)
	at := func(d time.Duration) int64 { return now.Add(d).UnixMilli() }
	tests := []struct {
		name string
		rec  record
		want bool
	}{
		{"new", record{}, true},
		{"waiting", record{NotBefore: at(1e6)}, false},
		{"waited enough", record{NotBefore: at(0)}, true},
		{"leased", record{Lease: "x", LeaseUntil: at(1e6)}, false},
		{"lease is over", record{Lease: "x", LeaseUntil: at(0)}, true},
		{"lease is over, still waiting", record{Lease: "x", LeaseUntil: at(0), NotBefore: at(1e6)}, false},
		{"expired", record{NotBefore: at(time.Hour), Message: verification.Message{Expires: now}}, true},
		{"expired while it is sent", record{Lease: "x", LeaseUntil: at(1e6), Message: verification.Message{Expires: now}}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.rec.Message.Expires.IsZero() {
				tt.rec.Message.Expires = now.Add(time.Hour)
			}
			if got := tt.rec.due(now); got != tt.want {
				t.Errorf("due = %v, want %v", got, tt.want)
			}
		})
	}
}

// TestScrubProperty: however a relay words it, neither the address nor its
// local part nor the secrets come through.
func TestScrubProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		local := rapid.StringMatching(`[a-zäö0-9!#$%&'*+/=?^_{|}~-]{3,20}`).Draw(t, "local")
		m := verification.Message{
			ID: "0fSIDSIDSIDSID.1", SID: "0fSIDSIDSIDSID", Token: "TOKENTOKENTOKEN",
			Refusal: "REFUSALREFUSAL",
			Address: local + "@" + rapid.StringMatching(`[a-z]{3,10}\.[a-z]{2,5}`).Draw(t, "domain"),
		}
		noise := rapid.StringMatching(`[A-Z<>"(): \n\x00-]{0,20}`)
		var text strings.Builder
		for range rapid.IntRange(1, 5).Draw(t, "pieces") {
			text.WriteString(noise.Draw(t, "noise"))
			piece := rapid.SampledFrom([]string{m.Address, local, m.ID, string(m.SID), string(m.Token), string(m.Refusal)}).Draw(t, "piece")
			if rapid.Bool().Draw(t, "upper") {
				piece = strings.ToUpper(piece)
			}
			text.WriteString(" " + piece)
		}
		got := strings.ToLower(scrub(errors.New(text.String()), m).Error())
		rest := strings.NewReplacer("[address]", "", "[secret]", "").Replace(got)
		for _, secret := range []string{m.Address, local, m.ID, string(m.SID), string(m.Token), string(m.Refusal), "\n", "\x00"} {
			if strings.Contains(rest, strings.ToLower(secret)) {
				t.Fatalf("%q tells %q", got, secret)
			}
		}
	})
}

// TestScrubJoinsTheLinesOfAQuotedMail, which may end anywhere in a secret.
func TestScrubJoinsTheLinesOfAQuotedMail(t *testing.T) {
	m := message(1)
	for _, secret := range []string{string(m.SID), string(m.Token), string(m.Refusal), "041592"} {
		for _, end := range []string{"=\r\n", "=\n", `=\r\n`, `=\n`, "=  "} {
			for at := 1; at < len(secret); at++ {
				quote := errors.New("refused: " + secret[:at] + end + secret[at:])
				if got := scrub(quote, m, "041592").Error(); got != "refused: [secret]" || said(quote, m, "041592") != got {
					t.Fatalf("scrub(%q) = %q", quote, got)
				}
			}
		}
	}
}

// TestTheCodeBesideALinkIsToldNobody: an error may quote it like the link.
func TestTheCodeBesideALinkIsToldNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, m := newRig(t), message(1)
		code := verification.PressCode(r.keys, m.SID, m.Token)
		o := r.outbox(senderFunc(func(context.Context, verification.Message) error { return errors.New("no " + string(code)) }))
		r.put(o, m)
		o.Start()
		synctest.Wait()
		if e := r.diary.all(); len(e) != 1 || e[0].Err.Error() != "no [secret]" {
			t.Errorf("got %+v", e)
		}
		r.stop(o)
	})
}

// TestScrubKeepsWhatHelps: the operator still learns what is wrong.
func TestScrubKeepsWhatHelps(t *testing.T) {
	m := message(1)
	tests := []struct{ name, text, want string }{
		{"reply", "550 5.1.1 <" + testAddress + ">: unknown", "550 5.1.1 <[address]>: unknown"},
		{"domain", "no MX for mail.example", "no MX for mail.example"},
		{"network", "dial tcp 192.0.2.1:587: connection refused", "dial tcp 192.0.2.1:587: connection refused"},
		{"invalid UTF-8", "bad \xff\xfe", "bad ?"},
		{"separators", "one\u2028two\u2029three", "one two three"},
		{"just right", strings.Repeat("é", maxErrorText), strings.Repeat("é", maxErrorText)},
		{"too long", strings.Repeat("é", maxErrorText+1), strings.Repeat("é", maxErrorText) + "…"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := scrub(errors.New(tt.text), m).Error()
			if got != tt.want || !utf8.ValidString(got) {
				t.Errorf("scrub = %q, want %q", got, tt.want)
			}
		})
	}
	m.Address, m.Token = "me@mail.example", ""
	if got := scrub(errors.New("time ran out for me@mail.example"), m).Error(); got != "time ran out for [address]" {
		t.Errorf("scrub = %q, the short local part spoils the text", got)
	}
	m.Address = "eve@mail.example"
	if got := scrub(errors.New("no eve here"), m).Error(); got != "no [address] here" {
		t.Errorf("scrub = %q, want no name in it", got)
	}
}
