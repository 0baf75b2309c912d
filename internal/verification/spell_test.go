// SPDX-License-Identifier: Apache-2.0

package verification

import "testing"

// TestF19_ToldInTheHomeserversSpelling: the homeserver is told of the mailbox that was
// proven in its own spelling, and of no other mailbox, whoever says so.
func TestF19_ToldInTheHomeserversSpelling(t *testing.T) {
	const canonical, other = "straße@xn--bcher-kva.example", "straße@bücher.example"
	req := func(r *Request) { r.Address, r.Typed = canonical, other }
	f := newFixture(t)
	a := f.claim(completes(f.validated(ask(req))))
	if !a.Live || a.Address != canonical || a.Typed != other {
		t.Fatalf("got alias %+v, want the address %q as it was typed", a, canonical)
	}
	for _, wrong := range []string{"strasse@xn--bcher-kva.example", "straße@bucher.example", "", "mallory@example.org"} {
		if err := f.Spell(bg, a, wrong); err == nil {
			t.Errorf("the homeserver may be told %q of %q", wrong, canonical)
		}
	}
	for _, spelling := range []string{canonical, other, canonical} {
		if err := f.Spell(bg, a, spelling); err != nil {
			t.Fatal(err)
		}
		proof, err := f.Validated(bg, a.SID, a.ClientSecret)
		if err != nil || proof.Address != spelling {
			t.Errorf("got %q, %v, want %q", proof.Address, err, spelling)
		}
	}
	number := f.claim(completes(f.validated(ask(byPhone))))
	number.Address = canonical
	if err := f.Spell(bg, number, canonical); err == nil {
		t.Error("a number is spelled like an address")
	}
	f.finish(a, Completed)
	if f.proves(a) {
		t.Error("an alias that was spelled anew proves something after its request")
	}
	if err := f.Spell(bg, a, other); err == nil {
		t.Error("an alias is spelled after its request")
	}
}
