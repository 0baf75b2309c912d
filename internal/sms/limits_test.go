// SPDX-License-Identifier: Apache-2.0

package sms

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/failover"
)

// TestTheMostIsTaken: what is as long, as many or as late as may be is taken, and what
// is one more is not.
func TestTheMostIsTaken(t *testing.T) {
	for name, tt := range map[string]struct {
		most int
		good func(n int) bool
	}{
		"id":             {maxMessageID, func(n int) bool { return clean(strings.Repeat("x", n)) != "" }},
		"code":           {64, func(n int) bool { return shortWord(strings.Repeat("x", n)) != "" }},
		"highest status": {599, func(n int) bool { _, err := newMatcher(Match{Statuses: []int{n}}); return err == nil }},
		"lowest status":  {-200, func(n int) bool { _, err := newMatcher(Match{Statuses: []int{-n}}); return err == nil }},
		"originator": {maxOriginator, func(n int) bool {
			return Originators{AnyGateway: {AnyRegion: {strings.Repeat("x", n)}}}.check(nil) == nil
		}},
		"name of a placeholder": {32, func(n int) bool {
			name := strings.Repeat("x", n)
			return strings.Contains(unknownBraces(name).Error(), name)
		}},
		"token": {maxToken, func(n int) bool {
			var claims struct{}
			return hs256(tokenOf(t, n), []byte("key"), &claims)
		}},
	} {
		if !tt.good(tt.most) || tt.good(tt.most+1) {
			t.Errorf("%s: %d is good: %t, and one more: %t", name, tt.most, tt.good(tt.most), tt.good(tt.most+1))
		}
	}
	for text, want := range map[string]string{"~ !": "~ !", " x\n": "x", "a\x7fb": "", "a\x1fb": ""} {
		if got := clean(text); got != want {
			t.Errorf("clean(%q) = %q, want %q", text, got, want)
		}
	}
	for text, want := range map[string]int64{"1": 1, "253402300799": 253402300799, "0": 0, "-1": 0, "253402300800": 0} {
		if at, ok := unixTime(text); ok != (want != 0) || ok && at.Unix() != want {
			t.Errorf("unixTime(%q) = %v, %t", text, at, ok)
		}
	}
	for one, good := range map[string]bool{"~ !": true, "a\x1f": false, "\x7f": false} {
		if err := (Originators{AnyGateway: {AnyRegion: {one}}}).check(nil); (err == nil) != good {
			t.Errorf("originator %q: %v", one, err)
		}
	}
}

// tokenOf is a signed token of a length.
func tokenOf(t *testing.T, length int) string {
	t.Helper()
	for head := range 4 {
		for claim := length / 2; claim < length; claim++ {
			one := token(`{"alg":"HS256"}`+strings.Repeat(" ", head), `{}`+strings.Repeat(" ", claim), "key")
			if len(one) == length {
				return one
			}
			if len(one) > length {
				break
			}
		}
	}
	t.Fatalf("there is no token of %d", length)
	return ""
}

// TestReceiptOptionsAreKept, and each half of a name and password is demanded.
func TestReceiptOptionsAreKept(t *testing.T) {
	if (ReceiptOptions{}).withDefaults().Now == nil {
		t.Error("there is no clock")
	}
	for _, o := range []ReceiptOptions{{User: "u"}, {Password: "p"}} {
		r := &http.Request{Header: http.Header{}}
		if err := o.basic(r); !errors.Is(err, ErrForged) {
			t.Errorf("%+v: without any: %v", o, err)
		}
		r.Header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(o.User+":"+o.Password)))
		if err := o.basic(r); err != nil {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

// TestConnectionsAreBounded in time, number and size, and take no way but their own.
func TestConnectionsAreBounded(t *testing.T) {
	got := newTransport(HTTPConfig{}, "https")
	if got.TLSHandshakeTimeout != 2*dialTimeout || got.IdleConnTimeout != idleTimeout || got.MaxIdleConnsPerHost != 16 || !got.DisableCompression ||
		got.MaxResponseHeaderBytes != maxHeader || got.Protocols.HTTP2() || !got.Protocols.HTTP1() || got.TLSClientConfig.MinVersion != tls.VersionTLS12 {
		t.Errorf("got %+v", got)
	}
	for scheme, plain := range map[string]bool{"https": false, "http": true} {
		for _, allowed := range []bool{true, false} {
			d := newDialer(HTTPConfig{AllowPlain: allowed}, scheme)
			if d.Timeout != dialTimeout || (d.Control != nil) != (plain && !allowed) {
				t.Errorf("%s, allowed %t: got %+v", scheme, allowed, d)
			}
		}
	}
}

// breaking is a connection that takes a part of what is written.
type breaking struct {
	net.Conn
	takes int
}

func (b breaking) Write([]byte) (int, error) { return b.takes, net.ErrClosed }

// TestOnlyWhatWasWrittenIsCounted: of the rest it is certain that it was not sent.
func TestOnlyWhatWasWrittenIsCounted(t *testing.T) {
	for _, takes := range []int{0, 3} {
		c := &counted{Conn: breaking{takes: takes}}
		if n, err := c.Write([]byte("12345")); n != takes || !errors.Is(err, net.ErrClosed) || c.written.Load() != int64(takes) {
			t.Errorf("got %d, %v, and %d are counted", n, err, c.written.Load())
		}
	}
}

// TestNothingIsTriedAgainOnANewConnection: that one is as good as the next will be.
func TestNothingIsTriedAgainOnANewConnection(t *testing.T) {
	h := newHTTP(t, simple("http://127.0.0.1:1"))
	dials := 0
	h.transport.DialContext = func(context.Context, string, string) (net.Conn, error) {
		dials++
		return nil, &net.OpError{Op: "dial", Err: errors.New("no way")}
	}
	if got := refusedBy(t, h, message()); got.Reason != ReasonUnreachable || dials != 1 {
		t.Errorf("got %v after %d dials", got, dials)
	}
}

// TestCloseEndsKeptConnections.
func TestCloseEndsKeptConnections(t *testing.T) {
	ended := make(chan struct{})
	h := newHTTP(t, simple(listen(t, func(c net.Conn, in *bufio.Reader) {
		if readRequest(in) == nil {
			_, _ = c.Write([]byte("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"))
			_, _ = in.ReadByte()
			close(ended)
		}
	})))
	if _, err := h.Send(t.Context(), message()); err != nil {
		t.Fatal(err)
	}
	if err := h.Close(); err != nil {
		t.Error(err)
	}
	select {
	case <-ended:
	case <-time.After(idleTimeout / 2): // then it would end by itself
		t.Error("the connection is still there")
	}
}

// TestLargeAnswersAreJudgedByTheirStatus, whatever they begin with.
func TestLargeAnswersAreJudgedByTheirStatus(t *testing.T) {
	d := startDouble(t, says(http.StatusForbidden, "DENIED"+strings.Repeat(" ", maxAnswer)))
	cfg := simple(d.URL)
	cfg.Refusals = []Refusal{{Match: Match{Prefixes: []string{"DENIED"}}, Reason: ReasonRejected}}
	wantOutcome(t, refusedBy(t, newHTTP(t, cfg), message()), outcome{reason: ReasonAuth, status: 403, fault: true})
	cfg.Refusals = []Refusal{{Match: Match{Statuses: []int{403}}, Reason: ReasonRejected}}
	wantOutcome(t, refusedBy(t, newHTTP(t, cfg), message()), outcome{reason: ReasonRejected, status: 403})
}

// TestOptionsOfARequest: each alone is enough, and their words are those of the
// configuration.
func TestOptionsOfARequest(t *testing.T) {
	for want, cfg := range map[string]HTTPConfig{
		"Basic " + base64.StdEncoding.EncodeToString([]byte("u:")):        {BasicUser: "u"},
		"Basic " + base64.StdEncoding.EncodeToString([]byte(":pa55word")): {BasicPassword: "pa55word"},
		"Bearer pa55word": {Bearer: "pa55word"},
		"App pa55word":    {Authorization: "App pa55word"},
		"":                {},
	} {
		if got, err := cfg.authorizationHeader(); err != nil || got != want {
			t.Errorf("got %q, %v, want %q", got, err, want)
		}
	}
	for want, cfg := range map[string]HTTPConfig{
		"bearer: has":    {Bearer: "pa55word\x7f"},
		"basic_auth: ha": {Authorization: "pa55word\r"},
		"has control":    {Headers: map[string][]string{"X-A": {"x\x7f"}}},
		"bearer: exclud": {Bearer: "a", Authorization: "b"},
	} {
		cfg.URL = "https://example.com/"
		if _, err := NewHTTP(cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	for words, want := range map[[2]string]string{{"", ""}: "false", {"2", ""}: "", {"", "x"}: "x", {"2", "1"}: "1"} {
		h := newHTTP(t, HTTPConfig{URL: "https://example.com/", UnicodeWord: words[0], PlainWord: words[1]})
		if got := valuesOf(message(), h.cfg.UnicodeWord, h.cfg.PlainWord)[placeUnicode]; got != want {
			t.Errorf("with %q: got %q for plain text, want %q", words, got, want)
		}
	}
	for timeout, want := range map[time.Duration]time.Duration{0: DefaultHTTPTimeout, 1: 1} {
		if got := newHTTP(t, HTTPConfig{URL: "https://example.com/", Timeout: timeout}); got.cfg.Timeout != want {
			t.Errorf("a timeout of %s became %s", timeout, got.cfg.Timeout)
		}
	}
}

// TestTheFirstGatewayToComeBackIsWaitedFor, whichever it is.
func TestTheFirstGatewayToComeBackIsWaitedFor(t *testing.T) {
	for _, order := range [][]string{{"a", "b"}, {"b", "a"}} {
		synctest.Test(t, func(t *testing.T) {
			a, b := &scripted{err: down}, &scripted{err: auth}
			r := newRouter(t, RouterConfig{
				Gateways: map[string]Gateway{"a": a, "b": b}, Breaker: failover.Config{Threshold: 1, Delay: time.Minute, MaxDelay: time.Hour},
				Routes: []Route{{Match: []string{"FR"}, Gateways: []string{"a"}}, {Gateways: order}},
			})
			for range 4 { // a is left alone for longer and longer
				_, _, _ = r.Send(t.Context(), "FR", message())
				time.Sleep(10 * time.Minute)
			}
			_, _, _ = r.Send(t.Context(), "GB", message())
			_, _, err := r.Send(t.Context(), "GB", message())
			if failed, _ := errors.AsType[*SendError](err); failed == nil || failed.Reason != ReasonNoGateway || failed.Wait <= 0 || failed.Wait > time.Minute {
				t.Errorf("%v: got %v, to wait for %s", order, err, failed.Wait)
			}
		})
	}
}

// TestFileThatCannotBeNamed leaves nothing behind, whether its first name is too long
// for the system or its last.
func TestFileThatCannotBeNamed(t *testing.T) {
	for _, length := range []int{4070, 4090} {
		dir := t.TempDir()
		for len(dir) < length-201 {
			dir = filepath.Join(dir, strings.Repeat("d", 199))
		}
		dir = filepath.Join(dir, strings.Repeat("d", length-len(dir)-1))
		got := refusedBy(t, NewFile(dir), message())
		if left, err := os.ReadDir(dir); got.Reason != ReasonFolder || !got.Again || !got.Fault || err == nil && len(left) != 0 {
			t.Errorf("got %+v, and %d files are left, %v", got, len(left), err)
		}
	}
}
