// SPDX-License-Identifier: Apache-2.0

package adversary

import (
	"encoding/json"
	"time"

	"pgregory.net/rapid"
)

// namings are the ways in which the attacker names a session.
var namings = []string{
	"none", "invented", "odd", "here", "here", "elsewhere", "elsewhere", "older", "raw", "changed", "other keys",
}

// session draws what stands in place of a session's name, nil for nothing, and says
// what kind of name it is. Where there is none of that kind yet, one is invented.
func (w *world) session(e endpoint) (value any, naming string) {
	naming = pick(w, "naming", namings...)
	is := func(want func(name) bool) (any, string) {
		var found []name
		for _, n := range w.names {
			if want(n) {
				found = append(found, n)
			}
		}
		if len(found) == 0 {
			return "invented", "invented"
		}
		// The newest come first, and in the shortest run.
		n := found[len(found)-1-min(rapid.IntRange(0, 7).Draw(w.T, "name"), len(found)-1)]
		return n.text, naming
	}
	switch naming {
	case "none":
		return nil, naming
	case "odd":
		return pick(w, "odd", any(""), any(7), any(true), any([]string{"x"}), any(map[string]any{})), naming
	case "here":
		return is(func(n name) bool { return !n.around && n.endpoint == e.name })
	case "elsewhere":
		return is(func(n name) bool { return !n.around && n.endpoint != e.name })
	case "older":
		return is(func(n name) bool { return !n.around && w.s.clock.Now().Sub(n.seen) > time.Hour })
	case "raw":
		return is(func(n name) bool { return n.around })
	case "changed":
		value, naming := is(func(n name) bool { return !n.around })
		return w.change(value.(string)), naming
	case "other keys":
		if text := w.foreignName(e); text != "" {
			return text, naming
		}
	}
	return "invented", "invented"
}

// change spoils one character of a name, or its end.
func (w *world) change(text string) string {
	if w.often("cut", 3) {
		return text[:len(text)-1]
	}
	raw := []byte(text)
	i := rapid.IntRange(0, len(raw)-1).Draw(w.T, "place")
	other := byte('A')
	if raw[i] == 'A' {
		other = 'B'
	}
	raw[i] = other
	return string(raw)
}

// foreignName is a name that the attacker's own site has made for the same endpoint.
func (w *world) foreignName(e endpoint) string {
	if e.token != "never" && e.name != "password" {
		e = endpoints[0]
	}
	got := w.elsewhere.send(request{method: "POST", target: "/_matrix/client/r0" + e.tail, body: "{}"})
	var told struct {
		Session string `json:"session"`
	}
	_ = json.Unmarshal([]byte(got.body), &told) // then it is empty
	return told.Session
}
