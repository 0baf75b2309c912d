// SPDX-License-Identifier: Apache-2.0

package feedback

import (
	"encoding/base64"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/caddy-threepid/caddy-threepid/internal/address"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
)

func TestVERPKnowsItsOwnAddresses(t *testing.T) {
	v, err := NewVERP("Bounces", "Example.ORG")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := v.Address("tag"), "bounces+tag@example.org"; got != want {
		t.Errorf("address = %q, want %q", got, want)
	}
	for mailbox, want := range map[string]string{
		"bounces+tag@example.org": "tag", "<bounces+tag@example.org>": "tag", "BOUNCES+Tag_-1@EXAMPLE.org": "Tag_-1",
		"bounces@example.org": "", "bounces+@example.org": "", "bounces+a+b@example.org": "", "bounces+tag@example.com": "",
		"bounce+tag@example.org": "", "xbounces+tag@example.org": "", "bounces+tag@example.org.": "", "bounces+tag": "", "": "", "example.org": "", "@example.org": "",
		"bounces+" + strings.Repeat("a", maxTag) + "@example.org": strings.Repeat("a", maxTag),
		"bounces+ta g@example.org":                                "", "bounces+tag@x@example.org": "", "bounces+" + strings.Repeat("a", 63) + "@example.org": "",
	} {
		got, ok := v.Tag(mailbox)
		if got != want || ok != (want != "") {
			t.Errorf("Tag(%q) = %q, %t, want %q", mailbox, got, ok, want)
		}
	}
	for _, c := range "09azAZ_-" {
		if got, ok := v.Tag("bounces+x" + string(c) + "@example.org"); !ok || got != "x"+string(c) {
			t.Errorf("a tag with %q = %q, %t", c, got, ok)
		}
	}
	for _, c := range "/:`{@[^.~" {
		if got, ok := v.Tag("bounces+x" + string(c) + "@example.org"); ok {
			t.Errorf("a tag with %q = %q", c, got)
		}
	}
	if got, err := NewVERP("a~b", "example.org"); err != nil || got.Prefix != "a~b" {
		t.Errorf("NewVERP = %+v, %v", got, err)
	}
	if _, ok := (VERP{}).Tag("+tag@"); ok {
		t.Error("the zero VERP knows an address")
	}
}

func TestNewVERPRefusesAddressesThatCannotBe(t *testing.T) {
	for name, arg := range map[string][2]string{
		"no prefix": {"", "example.org"}, "no domain": {"bounces", ""}, "plus in prefix": {"a+b", "example.org"},
		"space": {"a b", "example.org"}, "long prefix": {"twelve-chars", "example.org"}, "not ASCII": {"ä", "example.org"},
		"address": {"bounces", "192.0.2.1"}, "two at signs": {"a@b", "example.org"},
	} {
		if _, err := NewVERP(arg[0], arg[1]); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	for _, prefix := range []string{"", "twelve-chars", "a+b"} {
		if _, err := NewVERP(prefix, "example.org"); err == nil || !strings.Contains(err.Error(), "1 to 11 characters") {
			t.Errorf("prefix %q: got %v", prefix, err)
		}
	}
}

func TestPropertyTagsComeBackAndFit(t *testing.T) {
	tags := NewTags(newKeys(t, 1))
	v, err := NewVERP("elevenchars", "example.org")
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		sid := base64.RawURLEncoding.EncodeToString(rapid.SliceOfN(rapid.Byte(), 24, 24).Draw(t, "sid"))
		tag, err := tags.Make(threepid.SID(sid))
		if err != nil {
			t.Fatal(err)
		}
		if canonical, err := address.Email(v.Address(tag)); err != nil || canonical != v.Address(tag) {
			t.Fatalf("%q is no canonical address: %v", v.Address(tag), err)
		}
		for _, written := range []string{tag, strings.ToUpper(tag)} {
			got, ok := tags.Check(written)
			if !ok || got != threepid.SID(sid) {
				t.Fatalf("Check(%q) = %q, %t, want %q", written, got, ok, sid)
			}
		}
	})
}

func TestTagsRefuseWhatTheyDidNotMake(t *testing.T) {
	tags := NewTags(newKeys(t, 1))
	tag, err := tags.Make(aliceSID)
	if err != nil {
		t.Fatal(err)
	}
	for i := range len(tag) {
		changed := []byte(tag)
		if changed[i]++; changed[i] == '9'+1 {
			changed[i] = 'a'
		}
		if _, ok := tags.Check(string(changed)); ok && i < len(tag)-1 {
			t.Errorf("a change at %d went unnoticed", i)
		}
	}
	for name, forged := range map[string]string{
		"empty": "", "short": tag[:51], "long": tag + "0", "the sid": aliceSID, "with a line break": tag[:26] + "\n" + tag[26:],
		"padded": tag[:51] + "=", "nothing but line breaks": strings.Repeat("\n", len(tag)),
	} {
		if _, ok := tags.Check(forged); ok {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, ok := NewTags(newKeys(t, 2)).Check(tag); ok {
		t.Error("a tag of other keys was accepted")
	}
}

func TestTagsAreNotMadeOfOtherThings(t *testing.T) {
	tags := NewTags(newKeys(t, 1))
	for _, sid := range []string{"", "short", aliceSID + "AAAA", aliceSID + "!", aliceSID[:31] + "=", aliceSID[:31] + "\n"} {
		if tag, err := tags.Make(threepid.SID(sid)); err == nil {
			t.Errorf("Make(%q) = %q", sid, tag)
		}
	}
}

func TestTagDoesNotShowTheSession(t *testing.T) {
	tag, err := NewTags(newKeys(t, 1)).Make(aliceSID)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(tag, strings.ToLower(aliceSID)) || strings.ToLower(tag) != tag || len(tag) != 52 {
		t.Errorf("tag = %q", tag)
	}
}
