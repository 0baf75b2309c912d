// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/handlers/internal/hsapi"
	"github.com/caddy-threepid/caddy-threepid/handlers/internal/wire"
	web "github.com/caddy-threepid/caddy-threepid/handlers/pages"
	"github.com/caddy-threepid/caddy-threepid/internal/input"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// pastedAddresses are alice@x.org as people type and paste it.
var pastedAddresses = []string{
	" alice@x.org", "alice@x.org ", "\talice@x.org\t", "alice@x.org\r\n", "\n\nalice@x.org", "alice@x.org\u0085", "alice@x.org\u2028",
	"\u00a0alice@x.org\u00a0", "\u202falice@x.org", "\u3000alice@x.org\u3000", "\u2003alice@x.org", "\u1680alice@x.org",
	"\u200balice@x.org\u200b", "\u200calice@x.org\u200d", "alice@x.org\u2060", "\ufeffalice@x.org", "\u00adalice@x.org", "alice@x.org\ufe0f",
	"\u200ealice@x.org\u200e", "\u200falice@x.org", "\u202aalice@x.org\u202c", "\u2068alice@x.org\u2069", "\u061calice@x.org", "\u2066 Alice@X.org \u2069\n",
	"mailto:alice@x.org", "MailTo:alice@x.org", "mailto:%20alice%40x.org", "\u200emailto: alice@x.org",
	"<alice@x.org>", "<mailto:alice@x.org>", `"alice@x.org"`, "'alice@x.org'", "“alice@x.org”", "„alice@x.org“", "«\u00a0alice@x.org\u00a0»", "(alice@x.org)",
	"[alice@x.org]", "「alice@x.org」", "＜alice@x.org＞", "<\u200balice@x.org\u200b>",
	"alice＠x.org", "alice﹫x.org", "alice＠ｘ．ｏｒｇ",
	"Alice <alice@x.org>", `"Liddell, Alice" <alice@x.org>`, "Alice L. (home) < alice@x.org >", `"alice@x.org" <alice@x.org>`, "alice@x.org <mailto:alice@x.org>",
}

// refusedAddresses have inside what is refused there, or may mean two things.
var refusedAddresses = []string{
	"al ice@x.org", "alice @x.org", "alice@ x.org", "ali\u200bce@x.org", "alice\u00a0@x.org", "alice@x\u200b.org", "ali\u202ece@x.org", "ali\u00adce@x.org",
	"alice@x.org\x00", "\x1balice@x.org", "alice@x.org bob@x.org", "alice＠x.org＠y.org", "alice@x.org＠y.org", "alice@x.org,bob@x.org", "alice@x.org;", "alice@x.org\nbob@x.org", "<alice@x.org> <bob@x.org>",
	"bob@x.org <alice@x.org>", "bob＠x.org <alice@x.org>", "Bob, Alice <alice@x.org>", "friends: Alice <alice@x.org>", "Alice <<alice@x.org>>", "Alice <alice@x.org",
	"alice@x.org (Alice)", "alice@x.org>", `"alice@x.org`, `"alice"@x.org`, "mailto:alice@x.org?cc=bob@x.org", "mailto:alice@x.org?subject=x", "mailto:alice@x.org,bob@x.org",
	"mailto:alice%zz@x.org", "mailto:alice%0a@x.org", "mailto:", "<>", "\u200b", " ", "smtp:alice@x.org", "alice@x.org" + strings.Repeat(" ", 5000),
}

// pastedNumbers are +44 7400 123456 as people in its country type and paste it.
var pastedNumbers = []string{
	"07400123456", " 07400 123456\n", "\u202a07400 123456\u202c", "\u200e+44 7400 123456", "\u2068+44\u00a07400\u202f123\u2009456\u2069", "+44\t7400123456",
	"07400-123456", "07400\u2010123456", "07400\u2011123456", "07400\u2013123456", "07400\u2014123456", "07400\u2212123456", "07400\u30fc123456", "07400\uff0d123456",
	"07400\u05be123456", "07400\u301c123456", "07400\u2053123456", "07400.123.456", "07400/123456", "07400\u00b7123456", "07400\uff0f123456",
	"(07400) 123456", "（07400）123456", "[07400] 123456", "【07400】123456", "{07400} 123456", "+44 (0) 7400 123456", "+44(0)7400\u200b123\u00ad456",
	"tel:+447400123456", "TEL:+44-7400-123456", "tel:+44%207400%20123456", "tel://07400123456", "<tel:07400123456>", "“07400 123456”", "\ufeff07400123456",
	"٠٧٤٠٠١٢٣٤٥٦", "۰۷۴۰۰ ۱۲۳۴۵۶", "०७४००१२३४५६", "০৭৪০০১২৩৪৫৬", "๐๗๔๐๐๑๒๓๔๕๖", "０７４００１２３４５６", "＋４４７４００１２３４５６", "𝟎𝟕𝟒𝟎𝟎𝟏𝟐𝟑𝟒𝟓𝟔",
	"00447400123456", "٠٠٤٤٧٤٠٠١٢٣٤٥٦", "\u200f+٤٤ ٧٤٠٠ ١٢٣٤٥٦\u200f", "\u200e" + strings.Repeat("\u200e", 100) + "07400123456",
}

// refusedNumbers name no number, or two, or more than a number.
var refusedNumbers = []string{
	"07400123456x1", "07400123456 ext 1", "07400123456#1", "07400123456~1", "07400123456～1", "07400123456,1", "07400123456،1", "07400123456;ext=1", "tel:07400123456;ext=1",
	"tel:07400123456;phone-context=+44", "tel:+447400123456;isub=1", "07400O23456", "07400 123456 (home)", "０７４００ａ１２３４５６", "07400123456\n07400123457",
	"07400\n123456", "07400\u2029123456", "07400\u201a123456", "07400123456\x00", "+44+7400123456", "07400+123456", "⓪⑦④⓪⓪①②③④⑤⑥", "07⁴00123456", "٠٧٤٠٠١٢٣٤٥",
	"sms:07400123456", "07400123456" + strings.Repeat("-", 40), "tel:", "+", "\u200e", "07400123456" + strings.Repeat("\u200e", 5000),
}

// pastedCode writes a code of six digits as people type and paste it.
var pastedCode = []func(code string) string{
	func(c string) string { return c[:3] + " " + c[3:] },
	func(c string) string { return c[:3] + "-" + c[3:] },
	func(c string) string { return c[:3] + "\u2013" + c[3:] + "\n" },
	func(c string) string { return "\u2068" + c[:2] + "\u00a0" + c[2:4] + "\u202f" + c[4:] + "\u2069" },
	func(c string) string { return "“" + c + "”." },
	func(c string) string { return "\ufeff(" + c + ")" },
	func(c string) string { return inDigits(c, '٠') },
	func(c string) string { return inDigits(c, '۰') },
	func(c string) string { return inDigits(c, '०') },
	func(c string) string { return inDigits(c, '０') },
	func(c string) string { return inDigits(c, '𝟎') },
}

// inDigits writes ASCII digits in those of the script with this zero.
func inDigits(text string, zero rune) string {
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return zero + r - '0'
		}
		return r
	}, text)
}

func asJSON(t *testing.T, members map[string]any) string {
	t.Helper()
	raw, err := json.Marshal(members)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// wantCleanUpstream: nothing that the homeserver got has what was typed in it, but the
// question whether an account has an address as it was typed, see [Client.known].
func (r *rig) wantCleanUpstream(t *testing.T, member, want string) {
	t.Helper()
	for _, req := range r.hs.Requests() {
		var body map[string]any
		if json.Unmarshal(req.Body, &body) == nil && body["id_server"] != "probe.invalid" && body[member] != nil && body[member] != want {
			t.Errorf("%s %s: the homeserver got %q, want %q", req.Method, req.Path, body[member], want)
		}
	}
}

var allPurposes = []string{"register", "account/password", "account/3pid"}

// TestPastedAddressesAtRequestToken: mail goes to the address that was meant, and
// that is the one that the homeserver is asked about.
func TestPastedAddressesAtRequestToken(t *testing.T) {
	modes(t, func(t *testing.T, opts options) {
		for _, purpose := range allPurposes {
			for _, typed := range pastedAddresses {
				r := newRig(t, opts)
				if purpose == "account/password" {
					r.hs.AddUser("alice", "old", "alice@x.org")
				}
				rec := r.do("POST", "/_matrix/client/v3/"+purpose+"/email/requestToken", asJSON(t, map[string]any{"client_secret": "s", "email": typed, "send_attempt": 1}))
				if rec.Code != http.StatusOK {
					t.Errorf("%s of %+q: got %d %s", purpose, typed, rec.Code, rec.Body)
					continue
				}
				if got := r.box.last(t).Address; got != "alice@x.org" {
					t.Errorf("%s of %+q: the mail goes to %q", purpose, typed, got)
				}
				r.wantCleanUpstream(t, "email", "alice@x.org")
			}
			for _, typed := range refusedAddresses {
				r := newRig(t, opts)
				rec := r.do("POST", "/_matrix/client/v3/"+purpose+"/email/requestToken", asJSON(t, map[string]any{"client_secret": "s", "email": typed, "send_attempt": 1}))
				if rec.Code != http.StatusBadRequest || decoded(t, rec)["errcode"] != wire.CodeInvalidParam || r.box.count() != 0 || len(r.hs.Requests()) != 0 {
					t.Errorf("%s of %+q: got %d %s, want 400 %s, and nothing sent or asked", purpose, typed, rec.Code, rec.Body, wire.CodeInvalidParam)
				}
			}
		}
	})
}

// TestPastedNumbersAtRequestToken is the same for phones.
func TestPastedNumbersAtRequestToken(t *testing.T) {
	modes(t, func(t *testing.T, opts options) {
		for _, purpose := range allPurposes {
			for _, typed := range pastedNumbers {
				r, p := phoneRig(t, opts)
				if purpose == "account/password" {
					r.hs.AddUser("alice", "old")
					r.hs.AddThreepid("alice", "msisdn", "447400123456")
				}
				rec := r.requestPhone(purpose, asJSON(t, map[string]any{"client_secret": "s", "country": "GB", "phone_number": typed, "send_attempt": 1}))
				if rec.Code != http.StatusOK {
					t.Errorf("%s of %+q: got %d %s", purpose, typed, rec.Code, rec.Body)
					continue
				}
				answer := decoded(t, rec)
				if got := r.box.last(t).Address; got != "447400123456" || answer["msisdn"] != got || answer["intl_fmt"] != "+44 7400 123456" || p.spent() != 1 {
					t.Errorf("%s of %+q: the message goes to %q, and the answer is %v", purpose, typed, got, answer)
				}
				r.wantCleanUpstream(t, "phone_number", "+447400123456")
			}
			for _, typed := range refusedNumbers {
				r, p := phoneRig(t, opts)
				rec := r.requestPhone(purpose, asJSON(t, map[string]any{"client_secret": "s", "country": "GB", "phone_number": typed, "send_attempt": 1}))
				if rec.Code != http.StatusBadRequest || decoded(t, rec)["errcode"] != wire.CodeInvalidParam || r.box.count()+p.spent()+len(r.hs.Requests()) != 0 {
					t.Errorf("%s of %+q: got %d %s, want 400 %s, and nothing sent, paid for, or asked", purpose, typed, rec.Code, rec.Body, wire.CodeInvalidParam)
				}
			}
		}
	})
}

// TestPastedInputFromTheHomeserver: some of them spell what they were told anew.
func TestPastedInputFromTheHomeserver(t *testing.T) {
	for i, medium := range []string{"email", "msisdn"} {
		for _, typed := range [][]string{pastedAddresses, pastedNumbers}[i] {
			r, _ := phoneRig(t, callback)
			r.next = func(w http.ResponseWriter, req *http.Request) error {
				raw, err := wire.ReadBody(w, req, 1<<20)
				if err != nil {
					return err
				}
				nonce, _, _ := mustObject(t, raw).Text("client_secret")
				form := url.Values{"client_secret": {nonce}, "send_attempt": {"1"}, "email": {typed}, "country": {"GB"}, "phone_number": {typed}}
				path := strings.Replace(faceRequest, "email", medium, 1)
				rec := r.ask("POST", path, form.Encode(), "application/x-www-form-urlencoded", "127.0.0.1:1")
				if rec.Code != http.StatusOK {
					t.Errorf("%+q: got %d %s", typed, rec.Code, rec.Body)
				}
				return upstream(rec.Code, rec.Body.String())(w, req)
			}
			r.do("POST", "/_matrix/client/v3/register/"+medium+"/requestToken",
				`{"client_secret":"s","send_attempt":1,"email":"alice@x.org","country":"GB","phone_number":"07400123456"}`)
		}
	}
}

// TestPastedCodes, by a client as JSON and as a form, and into the page, of a mail
// and of a text message.
func TestPastedCodes(t *testing.T) {
	ways := map[string]func(r *rig, path, sid, code string) *httptest.ResponseRecorder{
		"JSON": func(r *rig, path, sid, code string) *httptest.ResponseRecorder {
			return r.do("POST", path, asJSON(r.t, map[string]any{"sid": sid, "client_secret": "s", "token": code}))
		},
		"a form of a machine": func(r *rig, path, sid, code string) *httptest.ResponseRecorder {
			path = strings.Replace(path, "/_threepid/", "/_matrix/identity/api/v1/", 1)
			form := url.Values{"sid": {sid}, "client_secret": {"s"}, "token": {code}}
			return r.do("POST", path, form.Encode(), "Content-Type", "application/x-www-form-urlencoded")
		},
		"the page": func(r *rig, path, sid, code string) *httptest.ResponseRecorder {
			form := fields(r.do("GET", path+"?sid="+sid, ""))
			form.Set("token", code)
			r.clock.Advance(web.MinRead)
			return r.postTo(path, form)
		},
	}
	for name, submit := range ways {
		for i, paste := range pastedCode {
			r, _ := phoneRig(t, options{config: func(c *Config) { c.Proof, c.IdentitySubmit = verification.ProofCode, true }})
			sid := r.request("register", "s", "alice@x.org")
			typed := paste(string(r.box.last(t).Token))
			if rec := submit(r, linkPath, sid, typed); rec.Code != http.StatusOK {
				t.Errorf("%s, mail, %d: %+q: got %d %s", name, i, typed, rec.Code, rec.Body)
			}
			sid, code := r.openPhone("register", "s")
			typed = paste(code)
			if rec := submit(r, phonePath, sid, typed); rec.Code != http.StatusOK {
				t.Errorf("%s, phone, %d: %+q: got %d %s", name, i, typed, rec.Code, rec.Body)
			}
		}
	}
}

// TestPastedCodeBesideALink: the code that a page asks for which was not sure that a
// person pressed its button.
func TestPastedCodeBesideALink(t *testing.T) {
	for _, paste := range pastedCode {
		r := newRig(t, options{})
		sid := r.request("register", "s", "alice@x.org")
		token := r.box.last(t).Token
		page := r.post(url.Values{"sid": {sid}, "token": {string(token)}})
		typed := paste(string(verification.PressCode(r.keys, threepid.SID(sid), token)))
		if rec := r.typed(page, typed); rec.Code != http.StatusOK {
			t.Errorf("%+q: got %d %s", typed, rec.Code, rec.Body)
		}
	}
}

// TestPastedAddressesAreDeletedAndUnbound: what is forwarded is the homeserver's
// spelling, even one that it should never have stored.
func TestPastedAddressesAreDeletedAndUnbound(t *testing.T) {
	for _, c := range []struct {
		medium, stored string
		typed          []string
	}{
		{"email", "alice@x.org", pastedAddresses},
		{"email", " Alice@x.org\u200b", pastedAddresses},
		{"msisdn", "447400123456", []string{"+44 7400 123456", "\u202a+44\u00a07400-123456\u202c", "tel:+447400123456", "＋４４７４００１２３４５６", "٤٤٧٤٠٠١٢٣٤٥٦"}},
	} {
		for _, typed := range c.typed {
			hs := &forgetful{list: asJSON(t, map[string]any{"threepids": []any{map[string]any{"medium": c.medium, "address": c.stored}}}), status: http.StatusOK}
			r := newRig(t, options{})
			r.next = hs.before(r.next)
			r.hs.AddUser("alice", "secret")
			body := asJSON(t, map[string]any{"medium": c.medium, "address": typed})
			wantStatus(t, r.as(r.login("alice", "secret"), "POST", deletePath, body), http.StatusOK)
			if want := asJSON(t, map[string]any{"medium": c.medium, "address": c.stored}); !slices.Equal(hs.forgotten, []string{want}) {
				t.Errorf("%+q: the homeserver was told to forget %q, want %s", typed, hs.forgotten, want)
			}
		}
	}
	for _, typed := range pastedAddresses {
		r, token := bound(t, "id.example.org")
		r.wantResult(t, token, unbindPath, asJSON(t, map[string]any{"medium": "email", "address": typed}), "success", "")
	}
}

// TestNativeNumbersCountOnce: what a homeserver would drop does not make another
// number of one, which would be counted apart.
func TestNativeNumbersCountOnce(t *testing.T) {
	for _, typed := range refusedNumbers {
		r, seen := native(t, nil)
		rec := r.do("POST", resetByPhone, asJSON(t, map[string]any{"client_secret": "s", "send_attempt": 1, "country": "GB", "phone_number": typed}))
		if passed := *seen > 0; passed && typed != "٠٧٤٠٠١٢٣٤٥" || !passed && rec.Code != http.StatusBadRequest {
			t.Errorf("%+q: got %d, passed on: %v", typed, rec.Code, passed)
		}
	}
}

// TestPastedInputIsPassedOnClean where the homeserver mails and texts by itself: it
// gets what was counted.
func TestPastedInputIsPassedOnClean(t *testing.T) {
	for path, typed := range map[string][]string{resetByMail: pastedAddresses, resetByPhone: pastedNumbers} {
		for _, one := range typed {
			r, _ := native(t, nil)
			var got map[string]any
			r.next = func(w http.ResponseWriter, req *http.Request) error {
				got = nil
				w.WriteHeader(http.StatusOK)
				return json.NewDecoder(req.Body).Decode(&got)
			}
			body := asJSON(t, map[string]any{"client_secret": "s", "send_attempt": 1, "email": one, "country": "GB", "phone_number": one})
			wantStatus(t, r.do("POST", path, body), http.StatusOK)
			email, _ := got["email"].(string)
			number, _ := got["phone_number"].(string)
			if path == resetByMail && (hsapi.Canonical(threepid.Email, email).Address != "alice@x.org" || input.Address(email) != email) || path == resetByPhone && strings.Trim(number, "+0123456789") != "" {
				t.Errorf("%+q: the homeserver got %q, %q", one, email, number)
			}
		}
	}
}
