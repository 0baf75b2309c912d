// SPDX-License-Identifier: Apache-2.0

package verification

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
)

func TestConversationIsForOneEndpoint(t *testing.T) {
	f := newFixture(t)
	name := f.SealConversation(Conversation{Session: "X", Endpoint: "POST register"})
	if len(name) < 60 {
		t.Errorf("%q is no sealed name", name)
	}
	for endpoint, want := range map[string]bool{"POST register": true, "PUT register": false, "POST account/password": false, "": false} {
		got, ok := f.OpenConversation(name, endpoint)
		if ok != want || (ok && (got.Session != "X" || got.Endpoint != endpoint)) {
			t.Errorf("at %q: got %+v, %v, want %v", endpoint, got, ok, want)
		}
	}
	if got, ok := f.OpenAnyConversation(name); !ok || got.Session != "X" {
		t.Errorf("at a page: got %+v, %v", got, ok)
	}
	if again := f.SealConversation(Conversation{Session: "X", Endpoint: "POST register"}); again == name {
		t.Error("who sees two names knows whether they are of one conversation")
	}
}

// TestConversationOfOddNames: one without a name, the longest that is opened, and what
// is sealed and is none.
func TestConversationOfOddNames(t *testing.T) {
	f := newFixture(t)
	for length, want := range map[int]bool{0: true, 3019: true, 3020: false} {
		name := f.SealConversation(Conversation{Session: threepid.UIASession(strings.Repeat("x", length)), Endpoint: "e"})
		_, ok := f.OpenConversation(name, "e")
		_, anywhere := f.OpenAnyConversation(name)
		if ok != want || anywhere != want {
			t.Errorf("a session of %d, in a name of %d: opens %v, and %v at a page, want %v", length, len(name), ok, anywhere, want)
		}
	}
	short := base64.RawURLEncoding.EncodeToString(f.keys.Seal(conversationContext, []byte("short")))
	foreign := newFixtureWithKey(t, 'x').SealConversation(Conversation{Session: "X", Endpoint: "e"})
	for _, odd := range []string{"", "!", short, string(foreign)} {
		if _, ok := f.OpenAnyConversation(threepid.SealedUIASession(odd)); ok {
			t.Errorf("%q opens", odd)
		}
	}
}

// TestConversationEnds: 48 hours after it began, however often it was used.
func TestConversationEnds(t *testing.T) {
	f := newFixture(t)
	name := f.SealConversation(Conversation{Session: "X", Endpoint: "e"})
	f.clock.Advance(conversationTime - time.Second)
	opened, ok := f.OpenConversation(name, "e")
	if !ok {
		t.Fatal("it ended early")
	}
	later := f.SealConversation(opened)
	f.clock.Advance(time.Second)
	for _, n := range []string{string(name), string(later)} {
		if _, ok := f.OpenConversation(threepid.SealedUIASession(n), "e"); ok {
			t.Error("it did not end")
		}
		if _, ok := f.OpenAnyConversation(threepid.SealedUIASession(n)); ok {
			t.Error("it did not end at the pages")
		}
	}
}

// TestConversationAcrossARotation: the former key opens, and another one does not.
func TestConversationAcrossARotation(t *testing.T) {
	f := newFixture(t)
	name := f.SealConversation(Conversation{Session: "X", Endpoint: "e"})
	f.rotate()
	if _, ok := f.OpenConversation(name, "e"); !ok {
		t.Error("a rotation has ended the conversation")
	}
	if _, ok := newFixtureWithKey(t, 'x').OpenConversation(name, "e"); ok {
		t.Error("another key opens it")
	}
}

// TestConversationOfAnyText: what goes in comes out, and nothing that was changed
// opens.
func TestConversationOfAnyText(t *testing.T) {
	f := newFixture(t)
	rapid.Check(t, func(t *rapid.T) {
		c := Conversation{Session: threepid.UIASession(rapid.String().Draw(t, "session")), Endpoint: rapid.String().Draw(t, "endpoint")}
		name := f.SealConversation(c)
		if got, ok := f.OpenConversation(name, c.Endpoint); !ok || got.Session != c.Session {
			t.Fatalf("got %+v, %v", got, ok)
		}
		i := rapid.IntRange(0, len(name)-1).Draw(t, "position")
		with := rapid.SampledFrom([]string{"A", "z", "_", "-", "9", "=", ".", "", "AA"}).Draw(t, "with")
		forged := name[:i] + threepid.SealedUIASession(with) + name[i+1:]
		if _, ok := f.OpenConversation(forged, c.Endpoint); ok && forged != name {
			t.Fatalf("%q opens, too", forged)
		}
	})
}
