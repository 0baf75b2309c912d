// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/caddymodule/guest"
)

// TestSendIsUnsureFromWhenThereIsAConnection: a gateway that nobody has reached has sent
// nothing, and one that hangs up may have.
func TestSendIsUnsureFromWhenThereIsAConnection(t *testing.T) {
	hangsUp := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	defer hangsUp.Close()
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	for url, unsure := range map[string]bool{hangsUp.URL: true, gone.URL: false} {
		_, err := (&Gateway{url: url}).Send(t.Context(), guest.SMS{ID: "1"})
		var failed *guest.SendError
		if !errors.As(err, &failed) || failed.Unsure != unsure || !failed.Again || !failed.Fault {
			t.Errorf("%s: got %+v", url, failed)
		}
	}
}
