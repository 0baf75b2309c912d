// SPDX-License-Identifier: Apache-2.0

package instance

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/handlers"
)

// TestMachinesHaveTheirDoors: what is posted to a webhook or to receipts gets there;
// somebody who looks at the address does not.
func TestMachinesHaveTheirDoors(t *testing.T) {
	door := http.NotFoundHandler()
	inst := &Instance{webhooks: map[string]http.Handler{"ses": door}, receipts: map[string]http.Handler{"one": door}}
	for name, c := range map[string]struct {
		method, path, accept string
		want                 bool
	}{
		"a webhook":              {"POST", FeedbackPath + "ses", "*/*", true},
		"a webhook, like a form": {"POST", FeedbackPath + "ses", "text/html", true},
		"a receipt":              {"POST", ReceiptPath + "one", "", true},
		"a receipt by GET":       {"GET", ReceiptPath + "one?tag=x", "text/html, image/gif, */*; q=.2", true},
		"somebody looks":         {"GET", ReceiptPath + "one", "text/html", false},
		"somebody looks there":   {"GET", FeedbackPath + "ses", "text/html", false},
		"another provider":       {"POST", FeedbackPath + "other", "", false},
		"another sender":         {"POST", ReceiptPath + "two", "", false},
		"a page":                 {"GET", handlers.RefusePath, "text/html", false},
		"the homeserver's":       {"GET", "/_matrix/client/versions", "", false},
	} {
		r := httptest.NewRequest(c.method, c.path, nil)
		r.Header.Set("Accept", c.accept)
		if got := inst.ForMachines(r) != nil; got != c.want {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
	}
}
