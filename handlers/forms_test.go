// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"io"
	"math/rand/v2"
	"regexp"
	"strings"
	"sync"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/fakehs"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// trip is one way to a goal, in one of all the forms in which clients write it.
type trip struct {
	goal goal
	form string // the names of its values

	method, version, prefix string
	encode                  func(raw string) io.Reader
	read                    reach
	queryToken              bool
	names                   bool     // it names the conversation that it belongs to
	containers              []int    // in which spellings credentials stand
	secrets, servers        []string // how they say the secret, and our name
	user                    dict     // how a password says whose it is
	medium                  threepid.Medium
	proof                   verification.Proof
	byMachine               bool // a code is not typed into the page
	bind                    bool // it asks for what nobody may do: to publish the address
	callback, later         bool // how we are configured, and what the homeserver is like
}

// dict is a JSON object.
type dict = map[string]any

// goal is what somebody wants.
type goal struct {
	// tails are the paths below the version, by method; there is always one for POST.
	tails map[string]string
	// place is where the credentials stand: a member of the body, "auth" (of its stage),
	// "" (they are members of the body) or "nowhere", if a password is all that is asked.
	place   string
	purpose threepid.Purpose // of the proof
	user    bool             // somebody who is logged in
	// password says that the user's password is asked for, and aside that a new address
	// is proven beside what the trip is about.
	password, aside bool
	params          dict
	binds           string              // the members by which it would publish the address
	changes         []fakehs.ChangeKind // one of which is what was wanted
}

// axis is one thing that can be written in several forms.
type axis []value

type value struct {
	name string
	set  func(*trip)
}

var aDevice = map[string]string{"POST": "delete_devices", "DELETE": "devices/OLD", "PUT": "org.example.thing", "PATCH": "org.example.thing"}

// goals by name. N in a parameter is another number each time.
var goals = map[string]goal{
	"register":             {tails: post("register"), place: "auth", purpose: threepid.Register, params: dict{"username": "carolN", "password": "pN"}, binds: "bind_email bind_msisdn", changes: kinds(fakehs.Registered)},
	"reset":                {tails: post("account/password"), place: "auth", purpose: threepid.Password, params: dict{"new_password": "pN"}, changes: kinds(fakehs.PasswordSet)},
	"set a password":       {tails: post("account/password"), place: "auth", purpose: threepid.Password, user: true, params: dict{"new_password": "pN"}, changes: kinds(fakehs.PasswordSet)},
	"set by password":      {tails: post("account/password"), place: "nowhere", user: true, password: true, params: dict{"new_password": "pN"}, changes: kinds(fakehs.PasswordSet)},
	"3pid":                 {tails: post("account/3pid"), place: "three_pid_creds", purpose: threepid.Add, user: true, binds: "bind", changes: kinds(fakehs.AddressSet)},
	"add by password":      {tails: post("account/3pid/add"), place: "", purpose: threepid.Add, user: true, password: true, binds: "bind", changes: kinds(fakehs.AddressSet)},
	"add by address":       {tails: post("account/3pid/add"), place: "auth", purpose: threepid.Password, user: true, aside: true, binds: "bind", changes: kinds(fakehs.AddressSet)},
	"deactivate":           {tails: post("account/deactivate"), place: "auth", purpose: threepid.Password, user: true, changes: kinds(fakehs.Deactivated)},
	"a device":             {tails: aDevice, place: "auth", purpose: threepid.Password, user: true, params: dict{"devices": []string{"OLD"}}, changes: kinds(fakehs.DeviceGone, fakehs.KeysReplaced)},
	"a device by password": {tails: aDevice, place: "nowhere", user: true, password: true, params: dict{"devices": []string{"OLD"}}, changes: kinds(fakehs.DeviceGone, fakehs.KeysReplaced)},
}

func post(tail string) map[string]string                 { return map[string]string{"POST": tail} }
func kinds(all ...fakehs.ChangeKind) []fakehs.ChangeKind { return all }

// axes are all forms. Every two values of two axes meet in some trip to each goal.
var axes = []axis{
	each(func(j *trip, v string) { j.method = v }, "POST", "PUT", "DELETE", "PATCH"),
	each(func(j *trip, v string) { j.version = v }, "r0", "v1", "v3", "unstable", "v2_alpha", "api/v1"),
	each(func(j *trip, v string) { j.prefix = v }, "/_matrix/client", "/chat/client"),
	{
		encoded("plain", everywhere, plainly),
		encoded("chunked", everywhere, chunked),
		encoded("escaped", everywhere, func(raw string) io.Reader { return plainly(escaped(raw)) }),
		encoded("spaced", everywhere, func(raw string) io.Reader { return plainly("\r\n " + raw + strings.Repeat(" \t", 999)) }),
		encoded("long", elsewhereOnly, func(raw string) io.Reader { return plainly(raw + long) }),
		encoded("late", elsewhereOnly, func(raw string) io.Reader { return plainly(long + raw) }),
		encoded("late, chunked", elsewhereOnly, func(raw string) io.Reader { return chunked(long + raw) }),
		encoded("BOM", nowhere, func(raw string) io.Reader { return plainly("\ufeff" + raw) }),
		encoded("twice", nowhere, func(raw string) io.Reader { return chunked(raw + raw) }),
		encoded("too long", nowhere, func(raw string) io.Reader { return plainly(raw + tooLong) }),
		encoded("too long, chunked", nowhere, func(raw string) io.Reader { return chunked(raw + tooLong) }),
		encoded("too late, chunked", nowhere, func(raw string) io.Reader { return chunked(tooLong + raw) }),
	},
	each(func(j *trip, v string) { j.queryToken = v == "token in the query" }, "token in the header", "token in the query"),
	each(func(j *trip, v string) { j.names = v == "in a session" }, "in a session", "in none"),
	{
		{"creds_", func(j *trip) { j.containers = []int{0} }},
		{"Creds", func(j *trip) { j.containers = []int{1} }},
		{"creds_ and Creds", func(j *trip) { j.containers = []int{0, 1} }},
	},
	each(func(j *trip, v string) { j.secrets = strings.Fields(v) }, "client_secret", "clientSecret", "client_secret clientSecret"),
	each(func(j *trip, v string) { j.servers = strings.Fields(v) }, "", "id_server", "idServer", "id_server idServer"),
	{
		{"user", func(j *trip) { j.user = dict{"user": "alice"} }},
		{"@user:", func(j *trip) { j.user = dict{"user": "@alice:example.org"} }},
		{"USER", func(j *trip) { j.user = dict{"user": "ALICE"} }},
		{"identifier", func(j *trip) { j.user = identifier("alice") }},
		{"@identifier:", func(j *trip) { j.user = identifier("@alice:example.org") }},
		{"both", func(j *trip) { j.user = identifier("@alice:example.org"); j.user["user"] = "alice" }},
		{"address", func(j *trip) { j.user = byAddress }},
	},
	{
		{"link", func(j *trip) { j.medium, j.proof = threepid.Email, verification.ProofLink }},
		{"code", func(j *trip) { j.medium, j.proof, j.byMachine = threepid.Email, verification.ProofCode, true }},
		{"code on the page", func(j *trip) { j.medium, j.proof = threepid.Email, verification.ProofCode }},
		{"phone", func(j *trip) { j.medium, j.byMachine = threepid.MSISDN, true }},
		{"phone on the page", func(j *trip) { j.medium = threepid.MSISDN }},
	},
	each(func(j *trip, v string) { j.bind = v == "bind" }, "bind", "no bind"),
	each(func(j *trip, v string) { j.callback = v == "callback" }, "off", "callback"),
	each(func(j *trip, v string) { j.later = v == "later" }, "1.3.1", "later"),
}

// each is an axis whose values are texts.
func each(set func(*trip, string), texts ...string) (a axis) {
	for _, text := range texts {
		a = append(a, value{text, func(j *trip) { set(j, text) }})
	}
	return a
}

var byAddress = dict{"identifier": dict{"type": "m.id.thirdparty", "medium": "email", "address": "Alice@x.org"}}

func identifier(user string) dict {
	return dict{"identifier": dict{"type": "m.id.user", "user": user}}
}

// plainly writes a body as everybody does.
func plainly(raw string) io.Reader { return strings.NewReader(raw) }

// chunked hides the length of a body.
func chunked(raw string) io.Reader { return struct{ io.Reader }{strings.NewReader(raw)} }

// What may be around an object is too long for the endpoints that are ours, and too long
// for all.
var long, tooLong = strings.Repeat(" ", DefaultMaxBody+1), strings.Repeat(" ", maxLook+1)

// reach is where a body is read that is written in some way.
type reach int

const (
	everywhere reach = iota
	elsewhereOnly
	nowhere
)

func encoded(name string, where reach, encode func(raw string) io.Reader) value {
	return value{name, func(j *trip) { j.read, j.encode = where, encode }}
}

var firstLetter = regexp.MustCompile(`"([a-z])(\w*)":`)

// escaped writes the first letter of each key as an escape.
func escaped(raw string) string {
	return firstLetter.ReplaceAllStringFunc(raw, func(key string) string {
		return `"\u00` + string("0123456789abcdef"[key[1]>>4]) + string("0123456789abcdef"[key[1]&15]) + key[2:]
	})
}

// pair are two values of two axes.
type pair struct{ a, x, b, y int }

// pairwise returns choices of one value of each axis, in which any two meet. It is the
// same each time.
func pairwise(axes []axis) (choices [][]int) {
	var missing []pair
	for b := range axes {
		for a := range b {
			for x := range axes[a] {
				for y := range axes[b] {
					missing = append(missing, pair{a, x, b, y})
				}
			}
		}
	}
	chance := rand.New(rand.NewPCG(1, 2))
	for len(missing) > 0 {
		var best []int
		var left []pair
		for range 20 {
			choice := make([]int, len(axes))
			for i := range axes {
				choice[i] = chance.IntN(len(axes[i]))
			}
			first := missing[0]
			choice[first.a], choice[first.b] = first.x, first.y
			if rest := unmet(missing, choice); best == nil || len(rest) < len(left) {
				best, left = choice, rest
			}
		}
		choices, missing = append(choices, best), left
	}
	return choices
}

// unmet are the pairs that do not meet in a choice.
func unmet(pairs []pair, choice []int) (left []pair) {
	for _, p := range pairs {
		if choice[p.a] != p.x || choice[p.b] != p.y {
			left = append(left, p)
		}
	}
	return left
}

// choices are the same for each goal.
var choices = sync.OnceValue(func() [][]int { return pairwise(axes) })

// trips are those to a goal.
func trips(to goal) (all []*trip) {
	for _, choice := range choices() {
		j := &trip{goal: to}
		var names []string
		for i, v := range choice {
			axes[i][v].set(j)
			names = append(names, axes[i][v].name)
		}
		j.form = strings.Join(names, ", ")
		all = append(all, j)
	}
	return all
}
