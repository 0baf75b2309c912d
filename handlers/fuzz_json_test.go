// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"bytes"
	"encoding/json"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/handlers/bindings"
	"github.com/caddy-threepid/caddy-threepid/handlers/internal/wire"
)

// firstWins decodes valid JSON as a parser does that keeps the first of two
// members of one name; encoding/json keeps the last.
func firstWins(t *testing.T, raw []byte) any {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	v, err := firstValue(dec)
	if err != nil {
		t.Fatalf("%q was accepted, but %v", raw, err)
	}
	return v
}

func firstValue(dec *json.Decoder) (any, error) {
	tok, err := dec.Token()
	if err != nil {
		return nil, err
	}
	switch tok {
	case json.Delim('{'):
		o := map[string]any{}
		for dec.More() {
			key, err := dec.Token()
			if err != nil {
				return nil, err
			}
			v, err := firstValue(dec)
			if err != nil {
				return nil, err
			}
			if _, ok := o[key.(string)]; !ok {
				o[key.(string)] = v
			}
		}
		_, err = dec.Token()
		return o, err
	case json.Delim('['):
		list := []any{}
		for dec.More() {
			v, err := firstValue(dec)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		_, err = dec.Token()
		return list, err
	}
	return tok, nil
}

// lastWins is what encoding/json makes of it.
func lastWins(t *testing.T, raw []byte) any {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		t.Fatalf("%q was accepted, but %v", raw, err)
	}
	return v
}

// addBodies adds what clients send, and what nobody should.
func addBodies(f *testing.F) {
	f.Helper()
	for _, seed := range []string{
		"", "null", "[]", "{}", " {} ", "{}{}", `{"a":1,"\u0061":2}`, `{"a":{"b":1,"b":1}}`, `{"a":[{"b":1,"b":1}]}`, `{"a":1e400}`, `{"a":-0}`,
		`{"a":12345678901234567890123456789}`, `{"a":"\ud800"}`, "{\"a\":\"\xff\"}", `{"a":1}x`, `{"Auth":1,"auth":2}`, "\ufeff{}", `{"a":"<&>\u2028"}`,
		strings.Repeat(`{"a":`, 64) + "1" + strings.Repeat("}", 64), strings.Repeat(`[`, 70) + strings.Repeat("]", 70), `{"":0}`, `{"a":nul}`,
		`{"client_secret":"s","email":"a@example.org","send_attempt":1}`, `{"send_attempt":"1"}`, `{"send_attempt":1.0}`, `{"send_attempt":1e0}`,
		`{"send_attempt":9223372036854775808}`, `{"send_attempt":true}`, `{"send_attempt":"+1"}`,
		`{"auth":{"type":"m.login.email.identity","threepid_creds":{"sid":"s","client_secret":"c"}}}`,
		`{"auth":{"type":"m.login.email.identity","threepidCreds":[{"sid":"s","clientSecret":"c","idServer":"localhost:8443"}],"session":"u"}}`,
		`{"auth":{"type":"m.login.msisdn","threepid_creds":{"sid":"s","client_secret":"c"},"threepidCreds":{"sid":"t","client_secret":"c"}}}`,
		`{"three_pid_creds":{"sid":"s","client_secret":"c","clientSecret":"d"},"bind":true}`, `{"threePidCreds":{"sid":1}}`, `{"three_pid_creds":[]}`,
		`{"sid":"s","client_secret":"c","clientSecret":"c","id_server":"a","idServer":"b"}`, `{"type":"m.login.email.identity","threepidCreds":{"sid":"s"}}`,
		`{"auth":{"type":"m.login.password","identifier":{"type":"m.id.user","user":"alice"},"password":"p"}}`,
	} {
		f.Add([]byte(seed))
	}
}

// FuzzObject: what is accepted is read alike by every parser, and is still the
// same after it was written again.
func FuzzObject(f *testing.F) {
	addBodies(f)
	f.Fuzz(func(t *testing.T, raw []byte) {
		o, err := wire.ParseObject(raw)
		if err != nil {
			if me := wire.ErrorOf(err); me.Status != 400 || (me.Errcode != wire.CodeNotJSON && me.Errcode != wire.CodeBadJSON) {
				t.Errorf("%q is refused with %v", raw, err)
			}
			return
		}
		first, last := firstWins(t, raw), lastWins(t, raw)
		if !reflect.DeepEqual(first, last) {
			t.Errorf("%q is read as %v by one parser and as %v by another", raw, first, last)
		}
		again := o.Encode()
		if got := lastWins(t, again); !reflect.DeepEqual(got, last) {
			t.Errorf("%q is written again as %q", raw, again)
		}
		if _, err := wire.ParseObject(again); err != nil {
			t.Errorf("%q is written again as %q, which is refused: %v", raw, again, err)
		}
		checkAttempt(t, o)
	})
}

var integer = regexp.MustCompile(`^-?[0-9]+$`)

// checkAttempt: a send_attempt that is accepted is an integer, and that one.
func checkAttempt(t *testing.T, o wire.Object) {
	t.Helper()
	n, err := sendAttempt(o)
	if err != nil {
		return
	}
	var v any
	dec := json.NewDecoder(bytes.NewReader(o["send_attempt"]))
	dec.UseNumber()
	if err := dec.Decode(&v); err != nil {
		t.Fatal(err)
	}
	text, ok := v.(string)
	if number, isNumber := v.(json.Number); isNumber {
		text, ok = number.String(), true
	}
	if !ok || !integer.MatchString(text) || strings.TrimLeft(text, "-0") != strings.TrimLeft(strconv.FormatInt(n, 10), "-0") {
		t.Errorf("send_attempt %s is taken for %d", o["send_attempt"], n)
	}
}

// readers are the ways in which homeservers read credentials: one spelling
// first or the other, an object or the array of the r0.x text.
func readers(holder wire.Object, spellings [2]string) (all []wire.Object) {
	for _, key := range spellings {
		var one wire.Object
		var list []wire.Object
		if json.Unmarshal(holder[key], &one) == nil && one != nil {
			all = append(all, one)
		}
		if json.Unmarshal(holder[key], &list) == nil {
			all = append(all, list...)
		}
	}
	return all
}

// mustAgree: no homeserver reads another sid or client_secret than we did.
func mustAgree(t *testing.T, creds *wire.Credentials, all []wire.Object) {
	t.Helper()
	for _, o := range all {
		for key, want := range map[string]string{"sid": string(creds.SID), "client_secret": string(creds.Secret), "clientSecret": string(creds.Secret)} {
			// One that is empty proves nothing.
			if got, ok, _ := o.Text(key); ok && got != "" && got != want {
				t.Errorf("%s is %q for us and %q for another reader of %v", key, want, got, o)
			}
		}
	}
}

// FuzzCreds: whichever spelling credentials come in, everybody reads the same
// ones, and after they were replaced nobody finds the old ones.
func FuzzCreds(f *testing.F) {
	addBodies(f)
	f.Fuzz(func(t *testing.T, raw []byte) {
		body, err := wire.ParseObject(raw)
		if err != nil {
			return
		}
		if creds, err := wire.FlatCreds(body); err == nil {
			mustAgree(t, creds, []wire.Object{body})
		}
		var auth wire.Object
		_ = json.Unmarshal(body["auth"], &auth) // one that is no object has no credentials
		for _, holder := range []wire.Object{body, auth} {
			if creds, err := wire.CredsIn(holder, wire.AddSpellings); err == nil && creds != nil {
				mustReplace(t, creds, holder, wire.AddSpellings)
			}
			if creds, err := wire.StageCreds(holder); err == nil && creds != nil {
				mustReplace(t, creds, holder, wire.UIASpellings)
			}
		}
		if _, err := bindings.ReadBind(body); err == nil {
			mustBindAsRead(t, raw)
		}
	})
}

func mustReplace(t *testing.T, creds *wire.Credentials, holder wire.Object, spellings [2]string) {
	t.Helper()
	mustAgree(t, creds, readers(holder, spellings))
	creds.Place(wire.Object{"sid": wire.Encoded("alias"), "client_secret": wire.Encoded("hidden")})
	all := readers(holder, spellings)
	if len(all) != 2 {
		t.Errorf("got %d places with credentials, want both spellings", len(all))
	}
	mustAgree(t, &wire.Credentials{SID: "alias", Secret: "hidden"}, all)
}

// mustBindAsRead: of a bind, no value is taken that another member contradicts.
func mustBindAsRead(t *testing.T, raw []byte) {
	t.Helper()
	fresh, err := wire.ParseObject(raw)
	if err != nil {
		t.Fatal(err)
	}
	req, err := bindings.ReadBind(fresh)
	if err != nil {
		t.Fatalf("accepted once, then %v", err)
	}
	if req.SID == "" || len(req.SID) > bindings.MaxSID || !req.ClientSecret.Valid() || req.Server.String() == "" {
		t.Errorf("%q is taken for %+v", raw, req)
	}
	original, _ := wire.ParseObject(raw)
	mustAgree(t, &wire.Credentials{SID: req.SID, Secret: req.ClientSecret}, append(readers(original, wire.AddSpellings), wire.Object{
		"sid": original["sid"], "client_secret": original["client_secret"],
	}))
}
