// SPDX-License-Identifier: Apache-2.0

package identityserver

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/caddy-threepid/caddy-threepid/internal/outbound"
)

func TestRefusalBody(t *testing.T) {
	tests := []struct{ name, body, want string }{
		{"plain", `{"errcode":"M_UNKNOWN","error":"no"}`, `{"errcode":"M_UNKNOWN","error":"no"}`},
		{"more keys", `{"errcode":"M_TERMS_NOT_SIGNED","policies":{"a":[1,null,true]}}`, `{"errcode":"M_TERMS_NOT_SIGNED","policies":{"a":[1,null,true]}}`},
		{"white space", " {\n\"errcode\" : \"M_UNKNOWN\"}\n", `{"errcode":"M_UNKNOWN"}`},
		{"numbers keep their digits", `{"errcode":"M_LIMIT_EXCEEDED","retry_after_ms":12345678901234567890.10}`, `{"errcode":"M_LIMIT_EXCEEDED","retry_after_ms":12345678901234567890.10}`},
		{"duplicate keys: the last counts", `{"errcode":"M_A","error":"a","errcode":"M_B"}`, `{"errcode":"M_B","error":"a"}`},
		{"markup", `{"errcode":"M_UNKNOWN","error":"</script><script>&"}`, `{"errcode":"M_UNKNOWN","error":"\u003c/script\u003e\u003cscript\u003e\u0026"}`},
		{"broken characters", "{\"errcode\":\"M_UNKNOWN\",\"error\":\"a\xffb\"}", `{"errcode":"M_UNKNOWN","error":"a` + "\ufffd" + `b"}`},
		{"message of another type", `{"errcode":"M_UNKNOWN","error":[1]}`, `{"errcode":"M_UNKNOWN","error":[1]}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := answer{status: 400, body: []byte(tt.body)}.refusal()
			if r == nil {
				t.Fatal("got no refusal")
			}
			if got := string(r.Body); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

// TestRefusalTooLarge: what is too much to relay keeps its errcode.
func TestRefusalTooLarge(t *testing.T) {
	body := `{"errcode":"M_` + strings.Repeat("A", 1000) + `","error":"` + strings.Repeat("é", 20000) + `"}`
	r := answer{status: 500, body: []byte(body)}.refusal()
	if r == nil {
		t.Fatal("got no refusal")
	}
	var object map[string]string
	if err := json.Unmarshal(r.Body, &object); err != nil || len(object) != 2 {
		t.Fatalf("got %s, %v, want two strings", r.Body, err)
	}
	if object["errcode"] != r.Errcode || object["error"] != r.Message || len(r.Errcode) != maxErrcode || len(r.Message) != maxMessage {
		t.Errorf("got %d and %d bytes, want the cut ones", len(object["errcode"]), len(object["error"]))
	}
	// Escaping can make a small object large.
	r = answer{status: 500, body: []byte(`{"errcode":"M_UNKNOWN","padding":"` + strings.Repeat("<", maxRelayed/5) + `"}`)}.refusal()
	if want := `{"errcode":"M_UNKNOWN","error":""}`; r == nil || string(r.Body) != want {
		t.Errorf("got %v, want %s", r, want)
	}
}

func TestRefusalStatus(t *testing.T) {
	for status, want := range map[int]bool{200: false, 302: false, 399: false, 400: true, 401: true, 599: true, 600: false} {
		r := answer{status: status, body: []byte(`{"errcode":"M_UNKNOWN"}`)}.refusal()
		if (r != nil) != want {
			t.Errorf("%d: got %v, want a refusal: %t", status, r, want)
		}
	}
}

func TestRefusalError(t *testing.T) {
	for errcode, want := range map[string]string{
		"M_TERMS_NOT_SIGNED":           "identity server answers 403 M_TERMS_NOT_SIGNED",
		"ORG.EXAMPLE.ODD":              "identity server answers 403 an unusual errcode",
		"M_secret":                     "identity server answers 403 an unusual errcode",
		"M_A\nB":                       "identity server answers 403 an unusual errcode",
		"M_" + strings.Repeat("A", 60): "identity server answers 403 an unusual errcode",
	} {
		if got := (&Refusal{Status: 403, Errcode: errcode, Message: secret}).Error(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// TestRefusalProperties: whatever a server sends, what is relayed is one small
// JSON object whose errcode is the one we act upon.
func TestRefusalProperties(t *testing.T) {
	value := rapid.SampledFrom([]string{`"M_UNKNOWN"`, `"x"`, `""`, `null`, `1e400`, `{"errcode":"M_B"}`, `[[[]]]`, "\"\xff\"", `"\ud800"`, `"<b>"`, "\"\u2028\""})
	key := rapid.SampledFrom([]string{"errcode", "error", "Errcode", "errc\\u006fde", "a", ""})
	member := rapid.Custom(func(t *rapid.T) string {
		return `"` + key.Draw(t, "key") + `":` + value.Draw(t, "value")
	})
	rapid.Check(t, func(t *rapid.T) {
		body := "{" + strings.Join(rapid.SliceOfN(member, 0, 5).Draw(t, "members"), ",") + "}"
		r := answer{status: rapid.IntRange(400, 599).Draw(t, "status"), body: []byte(body)}.refusal()
		if r == nil {
			return
		}
		var object map[string]any
		if err := json.Unmarshal(r.Body, &object); err != nil && !strings.Contains(body, "1e400") {
			t.Fatalf("%s became %s: %v", body, r.Body, err)
		}
		if !utf8.Valid(r.Body) || len(r.Body) > maxRelayed || strings.ContainsAny(string(r.Body), "<>\u2028") {
			t.Errorf("%s became %s", body, r.Body)
		}
		if object != nil && object["errcode"] != r.Errcode || r.Errcode == "" {
			t.Errorf("%s: relayed %v, acted upon %q", body, object["errcode"], r.Errcode)
		}
	})
}

// TestDeadlines: 10 s for a call and 3 s for a probe, in the defaults.
func TestDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stuck := func(ctx context.Context, _ netip.AddrPort) (net.Conn, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		name := mustName(t, "93.184.215.14")
		client := New(Options{Outbound: outbound.Options{Dial: stuck, DialTimeout: time.Minute}})
		start := time.Now()
		if err := client.Probe(t.Context(), name); !errors.Is(err, ErrUnavailable) || time.Since(start) != DefaultProbeTimeout {
			t.Errorf("probe: got %v after %v", err, time.Since(start))
		}
		start = time.Now()
		if err := client.Unbind(t.Context(), name, unbind); !errors.Is(err, ErrUnavailable) || time.Since(start) != outbound.DefaultTimeout {
			t.Errorf("unbind: got %v after %v", err, time.Since(start))
		}
		synctest.Wait()
	})
}
