// SPDX-License-Identifier: Apache-2.0

package identityserver

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/fakeis"
	"github.com/caddy-threepid/caddy-threepid/internal/outbound"
)

const (
	token   = "is_token_of_alice"
	secret  = "s3cret.of-the_session"
	user    = "@alice:example.org"
	address = "alice.private@example.net"
)

var (
	bind   = Bind{SID: "sid1", ClientSecret: secret, UserID: user}
	unbind = Unbind{SID: "sid1", ClientSecret: secret, UserID: user, Medium: "email", Address: address}
)

// fixture is an identity server where alice can bind her address, and a client
// that is allowed to reach it.
type fixture struct {
	*fakeis.Server
	client *Client
	name   outbound.Name
}

func newFixture(t *testing.T, change func(*Options)) *fixture {
	t.Helper()
	s, err := fakeis.Start(fakeis.Options{Host: "127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	s.AddToken(token, user)
	s.AddSession(fakeis.Session{SID: string(bind.SID), ClientSecret: secret, Medium: "email", Address: address})
	name := mustName(t, s.Name())
	opts := Options{Outbound: outbound.Options{RootCAs: s.Pool(), Allow: []outbound.Name{name}}}
	if change != nil {
		change(&opts)
	}
	return &fixture{Server: s, client: New(opts), name: name}
}

func mustName(t *testing.T, raw string) outbound.Name {
	t.Helper()
	name, err := outbound.ParseName(raw)
	if err != nil {
		t.Fatal(err)
	}
	return name
}

// checkQuiet demands that an error holds nothing that is not for logs.
func checkQuiet(t *testing.T, err error) {
	t.Helper()
	if err == nil {
		t.Error("got no error")
		return
	}
	for _, word := range []string{token, secret, address, user, string(bind.SID)} {
		if strings.Contains(strings.ToLower(err.Error()), strings.ToLower(word)) {
			t.Errorf("the error %q contains %q", err, word)
		}
	}
}

// checkOutcome demands an error that is want and none of the other outcomes.
func checkOutcome(t *testing.T, err, want error) {
	t.Helper()
	checkQuiet(t, err)
	for _, sentinel := range []error{ErrUnavailable, ErrUnsupported, ErrToken, outbound.ErrForbiddenAddress, outbound.ErrName} {
		if got := errors.Is(err, sentinel); got != errors.Is(want, sentinel) {
			t.Errorf("%v: is %q: got %t", err, sentinel, got)
		}
	}
	if refusal, ok := errors.AsType[*Refusal](err); ok {
		t.Errorf("got the refusal %v, want %v", refusal, want)
	}
}

// checkRefusal demands a refusal.
func checkRefusal(t *testing.T, err error, status int, errcode string) *Refusal {
	t.Helper()
	checkQuiet(t, err)
	refusal, ok := errors.AsType[*Refusal](err)
	if !ok {
		t.Fatalf("got %v, want the refusal %d %s", err, status, errcode)
	}
	if refusal.Status != status || refusal.Errcode != errcode {
		t.Errorf("got %d %s, want %d %s", refusal.Status, refusal.Errcode, status, errcode)
	}
	for _, sentinel := range []error{ErrUnavailable, ErrUnsupported, ErrToken} {
		if errors.Is(err, sentinel) {
			t.Errorf("a refusal is %q", sentinel)
		}
	}
	return refusal
}

// sameJSON compares two documents by what they mean.
func sameJSON(t *testing.T, got, want string) bool {
	t.Helper()
	var a, b any
	if err := json.Unmarshal([]byte(got), &a); err != nil {
		t.Errorf("%q: %v", got, err)
		return false
	}
	if err := json.Unmarshal([]byte(want), &b); err != nil {
		t.Fatal(err)
	}
	return reflect.DeepEqual(a, b)
}
