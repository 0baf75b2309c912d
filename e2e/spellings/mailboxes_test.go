// SPDX-License-Identifier: Apache-2.0

package spellings

// mailbox is one mailbox, and how people type it. A homeserver of before us has it as
// one of them typed it. The sign % stands for what makes an address of a test unique.
type mailbox struct {
	typed []string
	// odd are spellings that a homeserver may have, too, but that do not follow from
	// any other: whoever has one of them finds it by that one alone.
	odd []string
	// pasted has something around it that cannot be seen, or the @ of another keyboard:
	// a homeserver cannot have it, for nobody could mail to it.
	pasted []string
	// like is another mailbox of the list, to whose owner this one must be of no use.
	like string
}

const acute, umlaut = "\u0301", "\u0308"

var mailboxes = []mailbox{
	{typed: []string{"%me@example.org", "%Me@example.org", "%ME@EXAMPLE.ORG"}, odd: []string{
		"%me@ｅｘａｍｐｌｅ.org", "%me@example\u3002org",
	}, pasted: []string{" %me@example.org", "%Me@example.org\t", "\u200e%me@example.org\u00a0", "%me\uff20example.org"}},
	{typed: []string{"%me@ab--cd.example", "%ME@AB--cd.example"}},
	{typed: []string{
		"%me@bücher.example", "%Me@Bücher.example", "%ME@BÜCHER.EXAMPLE", "%me@bu" + umlaut + "cher.example", "%me@BU" + umlaut + "CHER.example",
		"%me@xn--bcher-kva.example", "%ME@XN--BCHER-KVA.EXAMPLE",
	}, odd: []string{"%me@bücher\uff0eexample", "%me@ｂücher.example"}, pasted: []string{" %ME@BÜCHER.example "}},
	{
		typed: []string{"%me@müller.bücher.example", "%me@xn--mller-kva.xn--bcher-kva.example"},
		odd:   []string{"%me@xn--mller-kva.bücher.example"},
	},
	{typed: []string{"%me@例え.テスト", "%me@xn--r8jz45g.xn--zckzah"}},
	{typed: []string{"%josé@example.org", "%jose" + acute + "@example.org", "%JOSÉ@Example.org", "%JOSE" + acute + "@example.org"}},
	{typed: []string{
		"%josé@bücher.example", "%jose" + acute + "@bücher.example", "%josé@xn--bcher-kva.example", "%jose" + acute + "@xn--bcher-kva.example",
		"%jose" + acute + "@bu" + umlaut + "cher.example", "%JOSÉ@BÜCHER.example",
	}},
	{typed: []string{"%Å@example.org", "%\u212b@example.org", "%a\u030a@example.org"}},
	{typed: []string{"%kevin@example.org", "%\u212aevin@example.org"}},
	{typed: []string{"%strasse@example.org", "%STRASSE@example.org"}},
	{typed: []string{"%straße@example.org", "%Straße@example.org", "%STRAẞE@example.org"}, like: "%strasse@example.org"},
	{typed: []string{"%straße@bücher.example", "%straße@xn--bcher-kva.example"}, like: "%strasse@bücher.example"},
	{typed: []string{"%σίσυφος@example.org", "%ΣΊΣΥΦΟΣ@example.org", "%σι" + acute + "συφος@example.org"}, like: "%σίσυφοσ@example.org"},
	{typed: []string{"%sam@example.org", "%SAM@example.org"}, like: "%ſam@example.org"},
	{typed: []string{"%ılk@example.org"}, like: "%ilk@example.org"},
	{typed: []string{"%İlk@example.org", "%i\u0307lk@example.org"}, like: "%ilk@example.org"},
	{typed: []string{"%me@straße.example", "%me@xn--strae-oqa.example"}, like: "%me@strasse.example"},
	{typed: []string{"%ꭰꭱ@example.org", "%ᎠᎡ@example.org"}},
}
