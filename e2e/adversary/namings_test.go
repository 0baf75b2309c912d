// SPDX-License-Identifier: Apache-2.0

package adversary

import (
	"encoding/json"
	"time"
)

// namings are the ways in which the attacker names a session.
var namings = []string{
	"none", "none", "here", "here", "elsewhere", "elsewhere", "raw", "older", "changed", "invented", "other keys", "odd",
}

// session draws what stands in place of a session's name, nil for nothing, and says
// what kind of name it is. Where there is none of that kind yet, the attacker gets
// themselves one, or invents it.
func (w *world) session(e endpoint) (value any, naming string) {
	naming = pick(w, "naming", namings...)
	var text string
	switch naming {
	case "none":
		return nil, naming
	case "odd":
		return pick(w, "odd", any(""), any(7), any(true), any([]string{"x"}), any(map[string]any{})), naming
	case "here":
		text = w.someName(func(n name) bool { return !n.around && n.endpoint == e.place() }, e.place(), false)
	case "elsewhere":
		other := pick(w, "elsewhere", "register", "password", "delete_devices")
		if other == e.place() {
			other = "deactivate"
		}
		text = w.someName(func(n name) bool { return !n.around && n.endpoint != e.place() }, other, false)
	case "older":
		text = w.someName(func(n name) bool { return !n.around && w.s.clock.Now().Sub(n.seen) > time.Hour }, "", false)
	case "raw":
		text = w.someName(func(n name) bool { return n.around }, "register", !w.s.setup.TrustsAnybody)
	case "changed":
		if text = w.someName(func(n name) bool { return !n.around }, e.place(), false); text != "" {
			text = w.change(text)
		}
	case "other keys":
		text = w.foreignName(e)
	}
	if text == "" {
		return "invented", "invented"
	}
	return text, naming
}

// getName begins an authentication, to learn its name.
func (w *world) getName(place string, around bool) {
	for _, e := range endpoints {
		if e.name != place {
			continue
		}
		r := request{method: e.method, target: "/_matrix/client/r0" + e.tail, body: `{"devices":[],"sid":"x","client_secret":"x"}`, around: around}
		if e.versions != nil {
			r.target = "/_matrix/client/" + e.versions[0] + e.tail
		}
		if e.token == "always" {
			r.token = w.accounts[0].token
		}
		w.deliver(e, r)
	}
}

// someName is a name that was told, most of the time one of a session in which a
// stage is complete; the newest are the most interesting ones. If there is none, one
// may be had at a place.
func (w *world) someName(want func(name) bool, place string, around bool) string {
	var found, proven []string
	look := func() {
		for _, n := range w.names {
			if !want(n) {
				continue
			}
			found = append(found, n.text)
			if n.proven {
				proven = append(proven, n.text)
			}
		}
	}
	if look(); len(found) == 0 {
		w.getName(place, around)
		look()
	}
	if len(proven) > 0 && !w.often("any name", 4) {
		found = proven
	}
	if len(found) == 0 {
		return ""
	}
	return found[len(found)-1-min(w.index("name", 4), len(found)-1)]
}

// change spoils one character of a name, or its end.
func (w *world) change(text string) string {
	if w.often("cut", 3) {
		return text[:len(text)-1]
	}
	raw := []byte(text)
	i := w.index("place", len(raw))
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
