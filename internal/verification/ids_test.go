// SPDX-License-Identifier: Apache-2.0

package verification

import (
	"encoding/base64"
	"math/bits"
	"regexp"
	"strings"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/internal/sealed"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
)

// sidGrammar is that of the specification; ours is narrower.
var sidGrammar = regexp.MustCompile(`^[0-9a-zA-Z.=_-]{1,255}$`)

// TestF7_SIDGrammar: sids are within the grammar, differ from each other in
// half of their random bits, and name their partition.
func TestF7_SIDGrammar(t *testing.T) {
	f := newFixture(t)
	narrow := regexp.MustCompile(`^[0-3][0-9a-f][0-9A-Za-z_-]{30}$`)
	seen := map[string]bool{}
	var last []byte
	distance, pairs := 0, 0
	for n := range 64 * sealed.Partitions {
		p := sealed.PartitionName(n)
		sid, err := f.ids.sid(p)
		if err != nil {
			t.Fatal(err)
		}
		if !sidGrammar.MatchString(string(sid)) || !narrow.MatchString(string(sid)) {
			t.Fatalf("sid %q is out of grammar", sid)
		}
		if seen[string(sid)] {
			t.Fatalf("sid %q was made twice", sid)
		}
		seen[string(sid)] = true
		if got, ok := f.ids.parse(sid); got != p || !ok || !f.Owns(sid) {
			t.Fatalf("parse(%q) = %q, %v, want %q", sid, got, ok, p)
		}
		random, err := base64.RawURLEncoding.DecodeString(string(sid[partitionSize : partitionSize+randomSize]))
		if err != nil || len(random) != 16 {
			t.Fatalf("sid %q has %d random bytes (%v), want 16", sid, len(random), err)
		}
		if last != nil {
			pairs++
			for i := range random {
				distance += bits.OnesCount8(random[i] ^ last[i])
			}
		}
		last = random
	}
	if mean := float64(distance) / float64(pairs); mean < 62 || mean > 66 {
		t.Errorf("successive sids differ in %.1f of 128 bits on average, want 64", mean)
	}
}

// TestF7_SIDOfThisServer: only what was made here, with these keys and
// unchanged, is taken for ours; the rest belongs to the homeserver.
func TestF7_SIDOfThisServer(t *testing.T) {
	f := newFixture(t)
	sid := f.open(ask()).SID
	if !f.Owns(sid) {
		t.Fatalf("Owns(%q) is false for a sid of ours", sid)
	}
	if other := newFixture(t, func(c *Config) { c.Keys = ring(t, 'o') }); other.Owns(sid) {
		t.Errorf("a server with other keys owns %q", sid)
	}
	for i := range len(sid) {
		for _, c := range []byte("0Aa_") {
			changed := sid[:i] + threepid.SID(string(c)) + sid[i+1:]
			if changed != sid && f.Owns(changed) {
				t.Errorf("Owns(%q), which differs from %q", changed, sid)
			}
		}
		if f.Owns(sid[:i]) || f.Owns(sid[i+1:]) {
			t.Errorf("a part of %q is owned", sid)
		}
	}
	for _, changed := range []string{string(sid + "A"), string(sid + "\x00"), string(" " + sid), strings.ToUpper(string(sid)), string(sid + sid)} {
		if f.Owns(threepid.SID(changed)) {
			t.Errorf("Owns(%q)", changed)
		}
	}
}

// TestSIDSurvivesTheStore: a sid is ours when its session is long gone, so
// that a client that polls it is not sent to the homeserver.
func TestSIDSurvivesTheStore(t *testing.T) {
	f, later := newFixture(t), newFixture(t)
	if sid := f.open(ask()).SID; !later.Owns(sid) {
		t.Errorf("a server with the same keys and an empty store does not own %q", sid)
	}
}

func FuzzSID(f *testing.F) {
	fx := newFixture(f)
	made := map[string]bool{}
	for range 3 {
		sid, err := fx.ids.sid("2a")
		if err != nil {
			f.Fatal(err)
		}
		made[string(sid)] = true
		f.Add(string(sid))
		f.Add(string(sid[1:]))
		f.Add("3f" + string(sid[2:]))
	}
	for _, s := range []string{"", "00", "zz", strings.Repeat("0", sidSize), strings.Repeat("\xff", sidSize)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		sid := threepid.SID(text)
		p, ok := fx.ids.parse(sid)
		if ok != made[string(sid)] || ok != fx.Owns(sid) {
			t.Errorf("parse(%q) = %q, %v, but it was made here: %v", sid, p, ok, made[string(sid)])
		}
		for what, call := range map[string]func() error{
			"Submit":  func() error { _, err := fx.Submit(bg, Submission{SID: sid}); return err },
			"Inspect": func() error { _, err := fx.Inspect(bg, Submission{SID: sid}); return err },
			"Claim":   func() error { _, err := fx.Claim(bg, Completion{SID: sid}); return err },
			"Validated": func() error {
				_, err := fx.Validated(bg, threepid.AliasSID(sid), threepid.AliasSecret(sid))
				return err
			},
			"Callback": func() error {
				_, err := fx.Callback(bg, threepid.Nonce(sid), threepid.ThreePID{Medium: threepid.Email, Address: string(sid)})
				return err
			},
		} {
			if err := call(); err == nil && !(what == "Claim" && ok) {
				t.Errorf("%s with sid %q succeeds", what, sid)
			}
		}
	})
}
