// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/handlers/internal/hsapi"
	"github.com/caddy-threepid/caddy-threepid/handlers/internal/wire"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// oracle is a homeserver that says of each address what it is told to, and that of all
// others nobody has them.
type oracle struct {
	codes map[string]string // by address; "" answers 500
	add   wire.Next         // answers whether it has MSC2290
	asked []string
}

func (o *oracle) next(w http.ResponseWriter, req *http.Request) error {
	if strings.HasSuffix(req.URL.Path, "/3pid/add") {
		o.asked = append(o.asked, "add")
		return o.add(w, req)
	}
	var body hsapi.TokenRequest
	if err := json.NewDecoder(req.Body).Decode(&body); err != nil {
		return err
	}
	address := body.Email + body.PhoneNumber
	o.asked = append(o.asked, address)
	if body.IDServer != "probe.invalid" || body.SendAttempt != 1 || len(body.ClientSecret) < 20 {
		return errors.New("a homeserver of then would mail")
	}
	code, told := o.codes[address]
	switch {
	case !told:
		code = wire.CodeServerNotTrusted
	case code == "":
		return upstream(500, `{}`)(w, req)
	}
	return upstream(400, `{"errcode":"`+code+`"}`)(w, req)
}

var (
	oldHomeserver = upstream(404, `{"errcode":"M_UNRECOGNIZED"}`)
	newHomeserver = upstream(401, `{"errcode":"M_MISSING_TOKEN"}`)
)

// TestSpellings_ThatAccountsHave, in their order; who may not be asked is not, and a
// failure is not a no.
func TestSpellings_ThatAccountsHave(t *testing.T) {
	const a, b, c = "a@x.org", "b@x.org", "c@x.org"
	all := []string{a, b, c}
	for name, tt := range map[string]struct {
		config    func(*Config)
		add       wire.Next
		codes     map[string]string
		spellings []string
		known     []string
		asked     []string
		fails     bool
	}{
		"none":                {config: callback.config, spellings: all, asked: all},
		"two of three":        {config: callback.config, spellings: all, codes: map[string]string{a: wire.CodeThreepidInUse, c: wire.CodeThreepidInUse}, known: []string{a, c}, asked: all},
		"a forbidden one":     {config: callback.config, spellings: all, codes: map[string]string{a: wire.CodeThreepidDenied, b: wire.CodeThreepidInUse}, known: []string{b}, asked: all},
		"a limit":             {config: callback.config, spellings: all, codes: map[string]string{b: wire.CodeLimitExceeded}, asked: []string{a, b}, fails: true},
		"a failure":           {config: callback.config, spellings: all, codes: map[string]string{a: ""}, asked: []string{a}, fails: true},
		"another code":        {config: callback.config, spellings: all, codes: map[string]string{a: "M_UNKNOWN"}, asked: []string{a}, fails: true},
		"only one":            {config: callback.config, spellings: all[:1]},
		"an old homeserver":   {add: oldHomeserver, spellings: all[:2], asked: []string{"add", "add", a, b}},
		"a later one":         {add: newHomeserver, spellings: all[:2], asked: []string{"add"}},
		"one that fails":      {add: upstream(502, ``), spellings: all[:2], asked: []string{"add"}, fails: true},
		"no email":            {config: func(c *Config) { c.NoEmail = true }, add: oldHomeserver, spellings: all[:2]},
		"its own resets":      {config: func(c *Config) { c.Callback, c.NativeReset = true, true }, add: newHomeserver, spellings: all[:2], asked: []string{"add"}},
		"its own, and callbk": {config: func(c *Config) { c.Callback, c.NoEmail = true, true }, spellings: all[:2]},
	} {
		o := &oracle{codes: tt.codes, add: tt.add}
		r := newRig(t, options{config: tt.config})
		known, err := r.client.hs.KnownSpellings(&wire.Call{R: httptest.NewRequest("POST", "/", http.NoBody), Next: o.next}, tt.spellings)
		if !slices.Equal(known, tt.known) || (err != nil) != tt.fails || !slices.Equal(o.asked, tt.asked) {
			t.Errorf("%s: got %q, %v after %q, want %q after %q", name, known, err, o.asked, tt.known, tt.asked)
		}
	}
}

// TestSpellings_HowTheHomeserverIsAsked: as an account has the address; for a reset none is
// looked at that belongs to another mailbox.
func TestSpellings_HowTheHomeserverIsAsked(t *testing.T) {
	const ascii, unicode = "me@xn--bcher-kva.example", "me@bücher.example"
	for name, tt := range map[string]struct {
		req   verification.Request
		codes map[string]string
		want  string
		fails bool
	}{
		"nobody's":     {req: verification.Request{Address: ascii, Typed: unicode}, want: ascii},
		"somebody's":   {req: verification.Request{Address: ascii, Typed: unicode}, codes: map[string]string{unicode: wire.CodeThreepidInUse}, want: unicode},
		"a failure":    {req: verification.Request{Address: ascii, Typed: unicode}, codes: map[string]string{unicode: ""}, want: ascii, fails: true},
		"a number":     {req: verification.Request{Medium: verification.MSISDN, Address: "447400123456"}, want: "447400123456"},
		"alike":        {req: verification.Request{Address: "straße@x.org"}, codes: map[string]string{"strasse@x.org": wire.CodeThreepidInUse}, want: "strasse@x.org"},
		"alike, reset": {req: verification.Request{Purpose: verification.Password, Address: "straße@x.org"}, codes: map[string]string{"strasse@x.org": ""}, want: "straße@x.org"},
	} {
		if tt.req.Medium == "" {
			tt.req.Medium = verification.Email
		}
		r := newRig(t, callback)
		got, err := r.client.hs.Spelled(&wire.Call{R: httptest.NewRequest("POST", "/", http.NoBody), Next: (&oracle{codes: tt.codes}).next}, tt.req)
		if got != tt.want || (err != nil) != tt.fails {
			t.Errorf("%s: got %s, %v, want %s", name, got, err, tt.want)
		}
	}
}

// TestSpellings_ThatAreTaken: the first refusal is the answer, but for that of an address
// that nobody may have.
func TestSpellings_ThatAreTaken(t *testing.T) {
	const a, b = "a@x.org", "b@x.org"
	r := newRig(t, callback)
	for _, tt := range []struct {
		codes map[string]string
		want  string
	}{
		{nil, ""},
		{map[string]string{a: wire.CodeThreepidDenied}, ""},
		{map[string]string{a: wire.CodeThreepidDenied, b: wire.CodeThreepidInUse}, wire.CodeThreepidInUse},
		{map[string]string{a: wire.CodeLimitExceeded, b: wire.CodeThreepidInUse}, wire.CodeLimitExceeded},
		{map[string]string{b: ""}, wire.CodeUnknown},
		{map[string]string{a: wire.CodeForbidden}, ""},
	} {
		err := r.client.hs.AnyTaken(&wire.Call{R: httptest.NewRequest("POST", "/", http.NoBody), Next: (&oracle{codes: tt.codes}).next}, "t", []string{a, b})
		got := codeOf(err)
		if refused, ok := wire.RefusalOf(err); ok {
			got = wire.ErrcodeOf(refused.Answer)
		}
		if got != tt.want || (err == nil) != (tt.want == "") {
			t.Errorf("%v: got %v, want %q", tt.codes, err, tt.want)
		}
	}
}

// TestStages_ByAnAddress: a user who names an address of theirs is named to the homeserver,
// and nobody else is; what it does not say stays as it came.
func TestStages_ByAnAddress(t *testing.T) {
	const third = `"identifier":{"type":"m.id.thirdparty","medium":"email","address":"ALICE@x.org"}`
	const named = `{"identifier":{"type":"m.id.user","user":"@alice:example.org"},"type":"m.login.password","user":"@alice:example.org"}`
	list := upstream(200, `{"threepids":[{"medium":"email","address":"alice@x.org"},{"medium":"msisdn","address":"447400123456"}]}`)
	for _, tt := range []struct {
		auth, token string
		list        wire.Next
		want        string // "": as it came
	}{
		{`{"type":"m.login.password",` + third + `}`, "t", list, named},
		{`{"type":"m.login.password","medium":"email","address":"alice@X.org"}`, "t", list, named},
		{`{"type":"m.login.password","medium":"msisdn","address":"+447400123456"}`, "t", list, named},
		{`{"type":"m.login.password","medium":"email","address":"447400123456"}`, "t", list, ""},
		{`{"type":"m.login.password","medium":"email","address":"bob@x.org"}`, "t", list, ""},
		{`{"type":"m.login.password","medium":"email","address":5}`, "t", list, ""},
		{`{"type":"m.login.password","identifier":{"type":"m.id.thirdparty","medium":"email"}}`, "t", list, ""},
		{`{"type":"m.login.password","identifier":{"type":"m.id.user","medium":"email","address":"alice@x.org"}}`, "t", list, ""},
		{`{"type":"m.login.password","medium":"email"}`, "t", list, ""},
		{`{"type":"m.login.other",` + third + `}`, "t", list, ""},
		{`{"type":5,` + third + `}`, "t", list, ""},
		{`{"type":"m.login.password",` + third + `}`, "", list, ""},
		{`{"type":"m.login.password",` + third + `}`, "t", upstream(500, `{}`), ""},
	} {
		for _, known := range []bool{false, true} {
			r := newRig(t, options{})
			j := &completion{client: r.client, auth: mustObject(t, []byte(tt.auth))}
			if known {
				j.who = &hsapi.Account{User: alice, Token: "t"}
			}
			asked := 0
			req := httptest.NewRequest("POST", "/", http.NoBody)
			if tt.token != "" {
				req.Header.Set("Authorization", "Bearer "+tt.token)
			}
			j.call = &wire.Call{R: req, Next: func(w http.ResponseWriter, req *http.Request) error {
				if strings.HasSuffix(req.URL.Path, "/whoami") {
					asked++
					return upstream(200, `{"user_id":"`+alice+`"}`)(w, req)
				}
				return tt.list(w, req)
			}}
			j.nameOwner()
			want := tt.want
			if want == "" {
				want = tt.auth
			}
			if !sameJSON(t, string(wire.Encoded(j.auth)), want) || j.changed != (tt.want != "") || known && asked != 0 {
				t.Errorf("%s, known %v: got %s, changed %v", tt.auth, known, wire.Encoded(j.auth), j.changed)
			}
		}
	}
	r := newRig(t, options{})
	j := &completion{client: r.client, auth: mustObject(t, []byte(`{"type":"m.login.password",`+third+`}`))}
	req := httptest.NewRequest("POST", "/", http.NoBody)
	req.Header.Set("Authorization", "Bearer t")
	j.call = &wire.Call{R: req, Next: upstream(401, `{"errcode":"M_UNKNOWN_TOKEN"}`)}
	if j.nameOwner(); j.changed {
		t.Errorf("got %s of a token that is nobody's", wire.Encoded(j.auth))
	}
}

// TestSpellings_OfAFoldedMailbox: nobody registers with an address that a homeserver, later
// on, takes for that of an account; and not while nobody says whether it is one.
func TestSpellings_OfAFoldedMailbox(t *testing.T) {
	for name, c := range map[string]struct {
		owner  string    // of strasse@
		add    wire.Next // in place of the homeserver's own answer
		status int
	}{
		"nobody's":     {status: http.StatusOK},
		"somebody's":   {owner: "alice", status: http.StatusBadRequest},
		"nobody says":  {owner: "alice", add: upstream(502, `{}`), status: http.StatusBadGateway},
		"it folds now": {owner: "alice", add: newHomeserver, status: http.StatusOK}, // its own to refuse
	} {
		r := newRig(t, options{})
		sid := r.validated("register", "s", "straße@example.org")
		if c.owner != "" {
			r.hs.AddUser(c.owner, "p", "strasse@example.org")
		}
		r.client.hs = homeserverOf(&r.client.cfg) // it was asked already
		legacy := r.next
		r.next = func(w http.ResponseWriter, req *http.Request) error {
			if c.add != nil && strings.HasSuffix(req.URL.Path, "/3pid/add") {
				return c.add(w, req)
			}
			return legacy(w, req)
		}
		body := `{"username":"carol","password":"secret","auth":{"type":"m.login.email.identity","threepid_creds":{"sid":"` + sid + `","client_secret":"s"}}}`
		rec := r.do("POST", "/_matrix/client/r0/register", body)
		if rec.Code != c.status || r.hs.HasUser("carol") != (c.status == http.StatusOK) {
			t.Errorf("%s: got %d %s, want %d", name, rec.Code, rec.Body, c.status)
		}
	}
}

// TestAddresses_AreComparedInOneForm, and what has none is equal to itself.
func TestAddresses_AreComparedInOneForm(t *testing.T) {
	for _, c := range []struct {
		medium    verification.Medium
		raw, want string
	}{
		{verification.Email, " Me@B\u00fccher.Example ", "me@xn--bcher-kva.example"},
		{verification.Email, "Nobody ", "nobody"},
		{verification.Email, "+44", "+44"},
		{verification.MSISDN, "+44 7400 123-456", "447400123456"},
		{verification.MSISDN, "447400123456", "447400123456"},
		{verification.MSISDN, "x Y", "x Y"},
		{"fax", " +X ", " +X "},
	} {
		if got := hsapi.Canonical(c.medium, c.raw); got != c.want {
			t.Errorf("%s %q: got %q, want %q", c.medium, c.raw, got, c.want)
		}
	}
}

// TestSpellings_AHomeserverThatDoesNotAnswer is not one that has nobody.
func TestSpellings_AHomeserverThatDoesNotAnswer(t *testing.T) {
	r := newRig(t, callback)
	for status, want := range map[int]int{502: 502, 503: 503} {
		err := r.client.hs.Taken(&wire.Call{R: httptest.NewRequest("POST", "/", http.NoBody), Next: func(http.ResponseWriter, *http.Request) error {
			return &wire.UpstreamError{Status: status, Err: wire.ErrNoAnswer}
		}}, "", verification.Email, "a@x.org")
		if got := wire.ErrorOf(err); got.Status != want || !errors.Is(err, wire.ErrNoAnswer) {
			t.Errorf("got %v, want %d", err, want)
		}
	}
}

// TestSpellings_OfWhatIsAddedAreAskedForOnce: checkOwner has done so.
func TestSpellings_OfWhatIsAddedAreAskedForOnce(t *testing.T) {
	r, seen := newRig(t, callback), &witness{}
	r.hs.AddUser("alice", "p")
	token := r.login("alice", "p")
	sid := r.validated("account/3pid", "s", "me@bücher.example")
	r.next = seen.before(r.next)
	wantStatus(t, r.add(token, "r0", `{"three_pid_creds":{"sid":"`+sid+`","client_secret":"s"}}`), http.StatusOK)
	if got := seen.count("r0/account/3pid/email/requestToken"); got != 3 {
		t.Errorf("asked %d times, want once for each of three: %q", got, seen.asked)
	}
}
