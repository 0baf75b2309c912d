// SPDX-License-Identifier: Apache-2.0

package keyring_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/caddy-threepid/caddy-threepid/internal/keyring"
)

func secret(fill byte) []byte { return bytes.Repeat([]byte{fill}, keyring.SecretSize) }

func newRing(t testing.TB, keys ...keyring.Key) *keyring.Ring {
	t.Helper()
	ring, err := keyring.New(keys...)
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	return ring
}

func TestNewRefusesBadKeys(t *testing.T) {
	tests := []struct {
		name string
		keys []keyring.Key
		want string
	}{
		{"no key", nil, "at least one key"},
		{"no secret", []keyring.Key{{ID: 1}}, "key 1 has 0 bytes, want 32"},
		{"secret too short", []keyring.Key{{ID: 1, Secret: secret('a')[1:]}}, "key 1 has 31 bytes, want 32"},
		{"secret too long", []keyring.Key{{ID: 1, Secret: append(secret('a'), 'a')}}, "key 1 has 33 bytes, want 32"},
		{"second secret too short", []keyring.Key{{ID: 1, Secret: secret('a')}, {ID: 2, Secret: []byte("bbbb")}}, "key 2 has 4 bytes, want 32"},
		{"the same id twice", []keyring.Key{{ID: 1, Secret: secret('a')}, {ID: 1, Secret: secret('b')}}, "key id 1 appears twice"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ring, err := keyring.New(tt.keys...)
			if err == nil || ring != nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("New = %v, %v, want an error with %q", ring, err, tt.want)
			}
			if strings.Contains(err.Error(), "aaaa") || strings.Contains(err.Error(), "bbbb") {
				t.Errorf("the error quotes the secret: %v", err)
			}
		})
	}
}

func TestSealOpens(t *testing.T) {
	ring := newRing(t, keyring.Key{ID: 7, Secret: secret('a')})
	rapid.Check(t, func(t *rapid.T) {
		context := rapid.String().Draw(t, "context")
		plain := rapid.SliceOf(rapid.Byte()).Draw(t, "plain")
		sealed := ring.Seal(context, plain)
		got, err := ring.Open(context, sealed)
		if err != nil || !bytes.Equal(got, plain) {
			t.Fatalf("Open(Seal(%x)) = %x, %v", plain, got, err)
		}
		if len(plain) >= 8 && bytes.Contains(sealed, plain) {
			t.Fatalf("sealed record contains the plain text")
		}
		if again := ring.Seal(context, plain); bytes.Equal(again, sealed) {
			t.Fatalf("the same record sealed twice is the same")
		}
		other := context + rapid.StringN(1, 4, -1).Draw(t, "other")
		if _, err := ring.Open(other, sealed); !errors.Is(err, keyring.ErrSealed) {
			t.Fatalf("opens in context %q although sealed for %q: %v", other, context, err)
		}
	})
}

func TestOpenRefusesEveryChange(t *testing.T) {
	ring := newRing(t, keyring.Key{ID: 1, Secret: secret('a')}, keyring.Key{ID: 2, Secret: secret('b')})
	sealed := ring.Seal("s/x", []byte("alice@example.com"))
	for i := range sealed {
		for bit := range 8 {
			changed := bytes.Clone(sealed)
			changed[i] ^= 1 << bit
			if _, err := ring.Open("s/x", changed); !errors.Is(err, keyring.ErrSealed) {
				t.Errorf("opens with bit %d of byte %d changed: %v", bit, i, err)
			}
		}
		if _, err := ring.Open("s/x", sealed[:i]); !errors.Is(err, keyring.ErrSealed) {
			t.Errorf("opens when cut to %d bytes: %v", i, err)
		}
	}
	if _, err := ring.Open("s/x", append(bytes.Clone(sealed), 0)); !errors.Is(err, keyring.ErrSealed) {
		t.Errorf("opens with a byte added: %v", err)
	}
	if _, err := ring.Open("s/y", sealed); !errors.Is(err, keyring.ErrSealed) {
		t.Errorf("opens in another context: %v", err)
	}
	if got, err := ring.Open("s/x", sealed); err != nil || string(got) != "alice@example.com" {
		t.Errorf("Open of the unchanged record = %q, %v", got, err)
	}
}

// TestRotation: the first key seals, every key opens, and nothing opens with a
// key that was taken away or whose id another secret bears.
func TestRotation(t *testing.T) {
	oldKey := keyring.Key{ID: 1, Secret: secret('a')}
	newKey := keyring.Key{ID: 2, Secret: secret('b')}
	before, during, after := newRing(t, oldKey), newRing(t, newKey, oldKey), newRing(t, newKey)

	sealedBefore := before.Seal("c", []byte("old"))
	if got, err := during.Open("c", sealedBefore); err != nil || string(got) != "old" {
		t.Errorf("old record with both keys = %q, %v", got, err)
	}
	sealedDuring := during.Seal("c", []byte("new"))
	if sealedDuring[0] != newKey.ID {
		t.Errorf("sealed under key %d, want %d, the first", sealedDuring[0], newKey.ID)
	}
	if got, err := after.Open("c", sealedDuring); err != nil || string(got) != "new" {
		t.Errorf("new record with the new key alone = %q, %v", got, err)
	}
	if _, err := after.Open("c", sealedBefore); !errors.Is(err, keyring.ErrSealed) {
		t.Errorf("old record opens without the old key: %v", err)
	}
	impostor := newRing(t, keyring.Key{ID: 1, Secret: secret('c')})
	if _, err := impostor.Open("c", sealedBefore); !errors.Is(err, keyring.ErrSealed) {
		t.Errorf("old record opens with another secret of the same id: %v", err)
	}
	if during.Hash("l", "x") != after.Hash("l", "x") || during.Hash("l", "x") == before.Hash("l", "x") {
		t.Errorf("hashes are not made with the first key")
	}
}

// TestHashSeparates: lists of parts that concatenate to the same text, labels
// and keys all lead to different hashes.
func TestHashSeparates(t *testing.T) {
	ring := newRing(t, keyring.Key{ID: 1, Secret: secret('a')})
	other := newRing(t, keyring.Key{ID: 1, Secret: secret('b')})
	rapid.Check(t, func(t *rapid.T) {
		part := rapid.StringOfN(rapid.SampledFrom([]rune("ab\x00")), 0, 3, -1)
		lists := rapid.SliceOfN(part, 1, 4)
		a, b := lists.Draw(t, "a"), lists.Draw(t, "b")
		same := len(a) == len(b) && strings.Join(a, "|") == strings.Join(b, "|")
		got := ring.Hash(a[0], a[1:]...) == ring.Hash(b[0], b[1:]...)
		if got != same {
			t.Fatalf("hashes of %q and %q equal: %v, want %v", a, b, got, same)
		}
		if ring.Hash(a[0], a[1:]...) == other.Hash(a[0], a[1:]...) {
			t.Fatalf("two keys make the same hash of %q", a)
		}
	})
}

// TestHashingPreparesAKeyOnce, and not for each hash: that costs as much as the hash.
func TestHashingPreparesAKeyOnce(t *testing.T) {
	ring, key := newRing(t, keyring.Key{ID: 1, Secret: secret('a')}), secret('m')
	hashing := testing.AllocsPerRun(200, func() { ring.Hash("l") })
	preparing := testing.AllocsPerRun(200, func() {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte("l"))
		mac.Sum(nil)
	})
	if hashing >= preparing {
		t.Errorf("a hash takes %v allocations, want fewer than the %v of one whose key is prepared for it", hashing, preparing)
	}
}

// TestHashesStayWhatTheyAre: what is in a store today must be found by the next version.
func TestHashesStayWhatTheyAre(t *testing.T) {
	ring := newRing(t, keyring.Key{ID: 1, Secret: secret('a')})
	noon := time.Date(2026, 2, 3, 12, 0, 0, 0, time.UTC)
	got := []string{ring.HashText("label", "alice@example.com", "x"), ring.HashText(""), ring.Pseudonym(noon, "alice@example.com"), ring.Marks()[0].Sum}
	if want := []string{"PJg4rClWVUVaK0EmZ5Huew", "rPIcR0gG2UUwT5jRsbpm1Q", "YGE9J1cXBEak", "pPtBZiuv9mF0QdFjWGFF4g"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestHashTextIsFitForKeys(t *testing.T) {
	ring := newRing(t, keyring.Key{ID: 1, Secret: secret('a')})
	grammar := regexp.MustCompile(`^[0-9A-Za-z_-]{22}$`)
	rapid.Check(t, func(t *rapid.T) {
		label, part := rapid.String().Draw(t, "label"), rapid.String().Draw(t, "part")
		if got := ring.HashText(label, part); !grammar.MatchString(got) {
			t.Fatalf("HashText(%q, %q) = %q", label, part, got)
		}
	})
}

func TestPseudonymChangesWithTheDay(t *testing.T) {
	ring := newRing(t, keyring.Key{ID: 1, Secret: secret('a')})
	noon := time.Date(2026, 2, 3, 12, 0, 0, 0, time.UTC)
	const alice = "alice@example.com"
	name := ring.Pseudonym(noon, alice)
	tests := []struct {
		name    string
		when    time.Time
		address string
		same    bool
	}{
		{"the first moment of the day", noon.Add(-12 * time.Hour), alice, true},
		{"the last moment of the day", noon.Add(12*time.Hour - 1), alice, true},
		{"the day is that of UTC", noon.In(time.FixedZone("", 13*3600)), alice, true},
		{"the next day", noon.Add(12 * time.Hour), alice, false},
		{"the day before", noon.Add(-12*time.Hour - 1), alice, false},
		{"somebody else", noon, "alicf@example.com", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := ring.Pseudonym(tt.when, tt.address)
			if (got == name) != tt.same {
				t.Errorf("Pseudonym = %q, the one of noon is %q, want same: %v", got, name, tt.same)
			}
			if len(got) != 12 || strings.Contains(got, "alic") {
				t.Errorf("Pseudonym = %q, want 12 characters that tell nothing", got)
			}
		})
	}
}

// sealedOnce was made by Seal("s/x", "alice@example.com") under key 1 of
// secret('a'). It also holds the form of a record: what is in a store today
// must open with the next version.
const sealedOnce = "011deae773ac7135eccf73b2f34ed16967923ac0cb750834a8ecbcf1032279769f7dbed0f60683af73c8bcdc345b"

func FuzzOpen(f *testing.F) {
	ring := newRing(f, keyring.Key{ID: 1, Secret: secret('a')}, keyring.Key{ID: 2, Secret: secret('b')})
	sealed, err := hex.DecodeString(sealedOnce)
	if err != nil {
		f.Fatal(err)
	}
	f.Add("s/x", sealed)
	f.Add("s/y", sealed)
	f.Add("s/x", sealed[:1])
	f.Add("s/x", sealed[:28])
	f.Add("s/x", sealed[:29])
	f.Add("", []byte{})
	f.Add("", []byte{2, 0, 0})
	f.Fuzz(func(t *testing.T, context string, record []byte) {
		plain, err := ring.Open(context, record)
		if context == "s/x" && bytes.Equal(record, sealed) {
			if err != nil || string(plain) != "alice@example.com" {
				t.Errorf("the one genuine record opens as %q, %v", plain, err)
			}
			return
		}
		if !errors.Is(err, keyring.ErrSealed) || plain != nil {
			t.Errorf("Open(%q, %x) = %x, %v, want ErrSealed", context, record, plain, err)
		}
	})
}

func TestHashTextsBeginWithTheKeyInUse(t *testing.T) {
	one, err := keyring.New(keyring.Key{ID: 1, Secret: bytes.Repeat([]byte{1}, keyring.SecretSize)})
	if err != nil {
		t.Fatal(err)
	}
	both, err := keyring.New(keyring.Key{ID: 2, Secret: bytes.Repeat([]byte{2}, keyring.SecretSize)}, keyring.Key{ID: 1, Secret: bytes.Repeat([]byte{1}, keyring.SecretSize)})
	if err != nil {
		t.Fatal(err)
	}
	got := both.HashTexts("label", "a", "b")
	if len(got) != 2 || got[0] != both.HashText("label", "a", "b") || got[1] != one.HashText("label", "a", "b") || got[0] == got[1] {
		t.Errorf("got %q, want the hash by each key, the one in use first", got)
	}
}
