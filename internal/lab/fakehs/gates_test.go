// SPDX-License-Identifier: Apache-2.0

package fakehs_test

import (
	"reflect"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/fakehs"
)

func TestRegisterFlowsWithGates(t *testing.T) {
	w := newWorld(t, fakehs.Options{
		RegistrationEnabled: true, CaptchaResponse: "solved", Terms: true, RegistrationToken: "invited",
	})
	got := w.post("/register", "", `{}`)
	var flows [][]any
	for _, f := range got.json["flows"].([]any) {
		flows = append(flows, f.(map[string]any)["stages"].([]any))
	}
	const token, captcha, terms = "m.login.registration_token", "m.login.recaptcha", "m.login.terms"
	want := [][]any{
		{token, captcha, "m.login.dummy", terms},
		{token, captcha, terms, "m.login.email.identity"},
		{token, captcha, terms, "m.login.msisdn"},
		{token, captcha, terms, "m.login.msisdn", "m.login.email.identity"},
	}
	if got.status != 401 || !reflect.DeepEqual(flows, want) {
		t.Errorf("got %d %v, want 401 %v", got.status, flows, want)
	}
}

func TestRegisterGatesAreChecked(t *testing.T) {
	w := newWorld(t, fakehs.Options{RegistrationEnabled: true, CaptchaResponse: "solved", Terms: true, RegistrationToken: "invited"})
	id := w.session("/register", `{"username":"bob","password":"pw"}`)
	for _, c := range []struct {
		auth, errcode string
		completed     int
	}{
		{`"type":"m.login.recaptcha"`, "M_CAPTCHA_NEEDED", 0},
		{`"type":"m.login.recaptcha","response":"wrong"`, "M_UNAUTHORIZED", 0},
		{`"type":"m.login.registration_token"`, "M_MISSING_PARAM", 0},
		{`"type":"m.login.registration_token","token":"guessed"`, "M_UNAUTHORIZED", 0},
		{`"type":"m.login.registration_token","token":"invited"`, "", 1},
		{`"type":"m.login.recaptcha","response":"solved"`, "", 2},
		{`"type":"m.login.terms"`, "", 3},
	} {
		got := w.post("/register", "", `{"auth":{`+c.auth+`,"session":"`+id+`"}}`)
		completed, _ := got.json["completed"].([]any)
		errcode, _ := got.json["errcode"].(string)
		if got.status != 401 || len(completed) != c.completed || errcode != c.errcode {
			t.Errorf("%s: got %d %s, want 401 %q and %d stages", c.auth, got.status, got.raw, c.errcode, c.completed)
		}
	}
	w.post("/register", "", `{"auth":{"type":"m.login.dummy","session":"`+id+`"}}`).wants(t, 200, "")
}
