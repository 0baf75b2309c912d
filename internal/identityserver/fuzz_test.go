// SPDX-License-Identifier: Apache-2.0

package identityserver

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzAnswer reads what an identity server of a stranger's choice may answer.
// What is relayed of it is small, is JSON, and is read by everybody alike.
func FuzzAnswer(f *testing.F) {
	for _, seed := range []string{
		`{"medium":"email","address":"a@example.org","mxid":"@a:b","signatures":{}}`, `{"medium":"email","address":"a\u0000"}`, `{"medium":"x"}`, `[]`, ``, `null`,
		`{"errcode":"M_NO_VALID_SESSION","error":"<script>"}`, `{"errcode":"","error":1}`, `{"errcode":"a","errcode":"b"}`, `{"errcode":"x"}{"a":1}`,
		`{"errcode":"` + strings.Repeat("é", 200) + `","x":1e999}`, `{"errcode":"x","a":"` + strings.Repeat("<", 5000) + `"}`, "{\"errcode\":\"\xff\"}",
		`{"success":false}`, `{"errcode":"M_UNRECOGNIZED"}`,
	} {
		f.Add(200, []byte(seed))
		f.Add(404, []byte(seed))
		f.Add(500, []byte(seed))
	}
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		a := answer{status: status, body: body}
		if bound, ok := a.bound(); ok {
			if bound.Address == "" || len(bound.Address) > maxAddress || strings.ContainsFunc(bound.Address, notPrintable) ||
				bound.Medium != "email" && bound.Medium != "msisdn" {
				t.Errorf("%q is taken for %+v", body, bound)
			}
		}
		r := a.refusal()
		_ = a.unsupported(r)
		if r == nil {
			return
		}
		if r.Status < 400 || r.Status > 599 || r.Errcode == "" && utf8.Valid(body) || len(r.Errcode) > maxErrcode || len(r.Message) > maxMessage {
			t.Errorf("%q is taken for %+v", body, r)
		}
		// The one case in which the body is made anew has two short strings.
		if len(r.Body) > maxRelayed && len(r.Body) > 6*(maxErrcode+maxMessage)+100 || !json.Valid(r.Body) || !utf8.Valid(r.Body) || bytes.ContainsAny(r.Body, "<>&") {
			t.Errorf("%q is relayed as %q", body, r.Body)
		}
	})
}
