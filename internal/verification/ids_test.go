// SPDX-License-Identifier: Apache-2.0

package verification

import (
	"encoding/base64"
	"errors"
	"math/bits"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"
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
	for n := range 64 * Partitions {
		p := PartitionName(n)
		sid, err := f.ids.sid(p)
		if err != nil {
			t.Fatal(err)
		}
		if !sidGrammar.MatchString(sid) || !narrow.MatchString(sid) {
			t.Fatalf("sid %q is out of grammar", sid)
		}
		if seen[sid] {
			t.Fatalf("sid %q was made twice", sid)
		}
		seen[sid] = true
		if got, ok := f.ids.parse(sid); got != p || !ok || !f.Owns(sid) {
			t.Fatalf("parse(%q) = %q, %v, want %q", sid, got, ok, p)
		}
		random, err := base64.RawURLEncoding.DecodeString(sid[partitionSize : partitionSize+randomSize])
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
			changed := sid[:i] + string(c) + sid[i+1:]
			if changed != sid && f.Owns(changed) {
				t.Errorf("Owns(%q), which differs from %q", changed, sid)
			}
		}
		if f.Owns(sid[:i]) || f.Owns(sid[i+1:]) {
			t.Errorf("a part of %q is owned", sid)
		}
	}
	for _, changed := range []string{sid + "A", sid + "\x00", " " + sid, strings.ToUpper(sid), sid + sid} {
		if f.Owns(changed) {
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

func TestPartitions(t *testing.T) {
	f := newFixture(t)
	seen := map[string]bool{}
	for n := range Partitions {
		p := PartitionName(n)
		got, ok := partitionOf(string(p) + "rest")
		if !p.Valid() || got != p || !ok || seen[string(p)] {
			t.Errorf("partition %d is %q, read back as %q, %v", n, p, got, ok)
		}
		seen[string(p)] = true
	}
	if len(seen) != 64 || PartitionName(Partitions) != PartitionName(0) {
		t.Errorf("%d partitions, want 64", len(seen))
	}
	for _, id := range []string{"", "0", "40x", "ffx", "0Ax", "-1x", " 0x", "zz", "\x000"} {
		if p, ok := partitionOf(id); ok {
			t.Errorf("partitionOf(%q) = %q", id, p)
		}
	}
	used := map[string]int{}
	for n := range 64 * Partitions {
		used[string(f.shard(f.keys.HashText("test", string(rune('a'+n)))))]++
	}
	for p := range seen {
		if used[p] < 16 || used[p] > 192 {
			t.Errorf("partition %s got %d of %d names", p, used[p], 64*Partitions)
		}
	}
}

// TestTokens: a link token has 256 random bits; a code has six digits, all of
// them equally likely, zeros in front included.
func TestTokens(t *testing.T) {
	m := &idMaker{keys: ring(t, 'k'), random: &seeded{src: rand.NewChaCha8([32]byte{7})}}
	code := regexp.MustCompile(`^[0-9]{6}$`)
	seen := map[string]bool{}
	var first [10]int
	const codes = 20_000
	for range codes {
		c, err := m.token(ProofCode)
		if err != nil || !code.MatchString(c) {
			t.Fatalf("code %q, %v", c, err)
		}
		first[c[0]-'0']++
	}
	for digit, n := range first {
		if n < codes/10-300 || n > codes/10+300 {
			t.Errorf("%d of %d codes begin with %d, want about a tenth", n, codes, digit)
		}
	}
	for range 1000 {
		link, err := m.token(ProofLink)
		raw, decodeErr := base64.RawURLEncoding.DecodeString(link)
		if err != nil || decodeErr != nil || len(raw) != 32 || seen[link] {
			t.Fatalf("link token %q: %d bytes, %v, %v, seen before %v", link, len(raw), err, decodeErr, seen[link])
		}
		seen[link] = true
		if got, ok := NormalizeToken(link); got != link || !ok {
			t.Fatalf("NormalizeToken(%q) = %q, %v", link, got, ok)
		}
	}
}

// TestNoRandomness: without randomness nothing is made up.
func TestNoRandomness(t *testing.T) {
	broken := errors.New("no entropy")
	f := newFixture(t, func(c *Config) { c.Random = iotest.ErrReader(broken) })
	for _, p := range []Proof{ProofLink, ProofCode} {
		_, err := f.ids.token(p)
		wantErr(t, "token", err, broken)
	}
	_, err := f.RequestToken(bg, ask())
	wantErr(t, "RequestToken", err, broken)
	_, err = f.Await(bg, ask())
	wantErr(t, "Await", err, broken)
	sid, _ := newFixture(t).ids.sid("00")
	_, err = f.Claim(bg, completes(sid))
	wantErr(t, "Claim", err, broken)
	if all := dump(t, f.cfg.Store); len(all) != 0 {
		t.Errorf("%d entries were stored", len(all))
	}
}

func TestNormalizeToken(t *testing.T) {
	tests := []struct {
		name, typed, want string
	}{
		{"as it is", "123456", "123456"},
		{"spaces around", " 123456\n", "123456"},
		{"grouped", "123 456", "123456"},
		{"no-break space from a mail", "123\u00a0456", "123456"},
		{"tab and CRLF", "\t123456\r\n", "123456"},
		{"case is kept", "aBc-_", "aBc-_"},
		{"longest", strings.Repeat("a", 255), strings.Repeat("a", 255)},
		{"longest counts code points", strings.Repeat("é", 255), strings.Repeat("é", 255)},
		{"too long", strings.Repeat("a", 256), ""},
		{"too long before spaces go", strings.Repeat(" ", 255) + "a", ""},
		{"empty", "", ""},
		{"only spaces", " \t\u00a0", ""},
		{"invalid UTF-8", "12\xff", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, ok := NormalizeToken(tt.typed)
			if got != tt.want || ok != (tt.want != "") {
				t.Errorf("NormalizeToken(%q) = %q, %v, want %q", tt.typed, got, ok, tt.want)
			}
		})
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
		made[sid] = true
		f.Add(sid)
		f.Add(sid[1:])
		f.Add("3f" + sid[2:])
	}
	for _, s := range []string{"", "00", "zz", strings.Repeat("0", sidSize), strings.Repeat("\xff", sidSize)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, sid string) {
		p, ok := fx.ids.parse(sid)
		if ok != made[sid] || ok != fx.Owns(sid) {
			t.Errorf("parse(%q) = %q, %v, but it was made here: %v", sid, p, ok, made[sid])
		}
		for what, call := range map[string]func() error{
			"Submit":    func() error { _, err := fx.Submit(bg, Submission{SID: sid}); return err },
			"Inspect":   func() error { _, err := fx.Inspect(bg, Submission{SID: sid}); return err },
			"Claim":     func() error { _, err := fx.Claim(bg, Completion{SID: sid}); return err },
			"Validated": func() error { _, err := fx.Validated(bg, sid, sid); return err },
			"Callback":  func() error { _, err := fx.Callback(bg, sid, Email, sid); return err },
		} {
			if err := call(); err == nil && !(what == "Claim" && ok) {
				t.Errorf("%s with sid %q succeeds", what, sid)
			}
		}
	})
}

func FuzzNormalizeToken(f *testing.F) {
	for _, s := range []string{"", "123 456", " \u00a0", "\xff", strings.Repeat("a", 256), "\u200b1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, typed string) {
		got, ok := NormalizeToken(typed)
		if ok != (got != "") {
			t.Fatalf("NormalizeToken(%q) = %q, %v", typed, got, ok)
		}
		if !ok {
			return
		}
		if again, ok := NormalizeToken(got); again != got || !ok {
			t.Errorf("NormalizeToken(%q) = %q, but of that it is %q, %v", typed, got, again, ok)
		}
		if strings.ContainsAny(got, " \t\r\n") || !utf8.ValidString(got) || utf8.RuneCountInString(got) > maxTokenLength {
			t.Errorf("NormalizeToken(%q) = %q: white space, not UTF-8, or too long", typed, got)
		}
	})
}
