// SPDX-License-Identifier: Apache-2.0

package adversary

import (
	"encoding/json"
	"time"

	"pgregory.net/rapid"
)

// namings are the ways in which the attacker names a session.
var namings = []string{
	"none", "none", "here", "here", "elsewhere", "elsewhere", "raw", "older", "changed", "invented", "other keys", "odd",
}

// session draws what stands in place of a session's name, nil for nothing, and says
// what kind of name it is. Where there is none of that kind yet, one is invented.
func (w *world) session(e endpoint) (value any, naming string) {
	naming = pick(w, "naming", namings...)
	is := func(want func(name) bool) (any, string) {
		if n := w.someName(want); n != nil {
			return n.text, naming
		}
		return "invented", "invented"
	}
	switch naming {
	case "none":
		return nil, naming
	case "odd":
		return pick(w, "odd", any(""), any(7), any(true), any([]string{"x"}), any(map[string]any{})), naming
	case "here":
		return is(func(n name) bool { return !n.around && n.endpoint == e.place() })
	case "elsewhere":
		return is(func(n name) bool { return !n.around && n.endpoint != e.place() })
	case "older":
		return is(func(n name) bool { return !n.around && w.s.clock.Now().Sub(n.seen) > time.Hour })
	case "raw":
		return is(func(n name) bool { return n.around })
	case "changed":
		if n := w.someName(func(n name) bool { return !n.around }); n != nil {
			return w.change(n.text), naming
		}
	case "other keys":
		if text := w.foreignName(e); text != "" {
			return text, naming
		}
	}
	return "invented", "invented"
}

// someName is a name that was told, most of the time one of a session in which a
// stage is complete; the newest are the most interesting ones.
func (w *world) someName(want func(name) bool) *name {
	var found, proven []*name
	for i, n := range w.names {
		if !want(n) {
			continue
		}
		found = append(found, &w.names[i])
		if n.proven {
			proven = append(proven, &w.names[i])
		}
	}
	if len(proven) > 0 && !w.often("any name", 4) {
		found = proven
	}
	if len(found) == 0 {
		return nil
	}
	return found[len(found)-1-min(rapid.IntRange(0, 3).Draw(w.T, "name"), len(found)-1)]
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
	r := request{method: e.method, target: "/_matrix/client/r0" + e.tail, body: `{"devices":[],"sid":"x","client_secret":"x"}`, token: w.elsewhereToken}
	switch e.name {
	case "password":
		r.token = ""
	case "register", "fallback page", "fallback form", "3pid":
		r.method, r.target, r.token = "POST", "/_matrix/client/r0/register", ""
	case "get_token":
		r.target = "/_matrix/client/v1" + e.tail
	case "login/token":
		r.target = "/_matrix/client/unstable" + e.tail
	}
	var told struct {
		Session string `json:"session"`
	}
	_ = json.Unmarshal([]byte(w.elsewhere.send(r).body), &told) // or it stays empty
	return told.Session
}
