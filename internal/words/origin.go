// SPDX-License-Identifier: Apache-2.0

package words

import (
	"github.com/caddy-threepid/caddy-threepid/internal/provenance"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// A mail and its page say when and where a request was made, each on a line of
// its own. What stands there is numbers, and names out of the tables of package
// provenance: a stored origin is held against them once more. The words are
// optional, and so are their places in a layout: those that an operator has
// written before there were any go on working, and leave it out.

// originWords are the keys of those words; pages have the same.
const (
	wordsMade    = "page request made"
	wordsApp     = "page request app"
	wordsNetwork = "page request network"
	wordsAnother = "page request other"
)

func addOrigins(rules map[string]rule) {
	rules[wordsMade] = rule{may: valueMade, must: valueMade, optional: true}
	rules[wordsApp] = rule{may: valueApp, must: valueApp, optional: true}
	rules[wordsNetwork] = rule{may: valueNetwork, must: valueNetwork, optional: true}
	rules[wordsAnother] = rule{may: valueServer, optional: true}
}

// come takes from a message when and where it was asked for.
func (v *values) come(m verification.Message) {
	v.made, v.app, v.network = until(m.Created), appOf(m.Origin), m.Origin.Checked().Network
}

func appOf(o provenance.Origin) string { return o.Checked().App() }

// addOrigin says it, as far as it is known and there are words for it.
func addOrigin[T any](f *fields[T], w *words, m verification.Message, v *values, say func(phrase) T) {
	for _, line := range []struct {
		key   string
		known bool
		to    *T
	}{
		{wordsMade, true, &f.Made},
		{wordsApp, v.app != "", &f.App},
		{wordsNetwork, v.network != "", &f.Network},
		{wordsAnother, m.Another, &f.Another},
	} {
		if p, ok := w.phrases[line.key]; ok && line.known {
			*line.to = say(p)
		}
	}
}

// OriginOf is when and where a request was made, as pages write it.
func OriginOf(found verification.Confirmed) PageData {
	data := PageData{App: appOf(found.Origin), Network: found.Origin.Checked().Network}
	if !found.Asked.IsZero() {
		data.Made = until(found.Asked)
	}
	return data
}
