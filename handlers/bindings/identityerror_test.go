// SPDX-License-Identifier: Apache-2.0

package bindings

import (
	"errors"
	"fmt"
	"net/http"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/handlers/internal/wire"
	"github.com/caddy-threepid/caddy-threepid/internal/identityserver"
	"github.com/caddy-threepid/caddy-threepid/internal/outbound"
)

// TestIdentityFailuresAreToldApart: which of them the client can mend, and why it was.
func TestIdentityFailuresAreToldApart(t *testing.T) {
	for _, c := range []struct {
		cause   error
		status  int
		errcode string
	}{
		{fmt.Errorf("dial: %w", outbound.ErrForbiddenAddress), http.StatusBadRequest, wire.CodeServerNotTrusted},
		{fmt.Errorf("token: %w", identityserver.ErrToken), http.StatusBadRequest, wire.CodeInvalidParam},
		{identityserver.ErrUnavailable, http.StatusBadGateway, wire.CodeUnknown},
	} {
		me, ok := errors.AsType[*wire.MatrixError](identityFailure(c.cause))
		if !ok || me.Status != c.status || me.Errcode != c.errcode || me.Message == "" {
			t.Errorf("%v: got %+v, want %d %s", c.cause, me, c.status, c.errcode)
		}
		if me.Err != nil && !errors.Is(me.Err, c.cause) || me.Err == nil && c.errcode != wire.CodeInvalidParam {
			t.Errorf("%v: got cause %v", c.cause, me.Err)
		}
	}
}

// TestRelayedRefusalsAreReadInOneWay: one that a client might read otherwise than we do
// is told in our own words, and none is kept by anybody.
func TestRelayedRefusalsAreReadInOneWay(t *testing.T) {
	for body, want := range map[string]string{
		`{"errcode":"M_X","error":"no","Session":"s"}`:          `{"errcode":"M_X","error":"no"}`,
		`{"errcode":"M_X","error":"no","a":"<&>","session":""}`: `{"a":"<&>","errcode":"M_X","error":"no"}`,
		`{"errcode":"M_X","error":"no"`:                         `{"errcode":"M_X","error":"no"}`,
	} {
		answer := forClient(&identityserver.Refusal{Status: 418, Errcode: "M_X", Message: "no", Body: []byte(body)})
		if got := answer.Body.String(); got != want || answer.Status != 418 {
			t.Errorf("%s: got %d %s, want %s", body, answer.Status, got, want)
		}
		for name, value := range map[string]string{"Content-Type": "application/json", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"} {
			if got := answer.Header().Get(name); got != value {
				t.Errorf("%s: got %s %q, want %q", body, name, got, value)
			}
		}
	}
	guests := forClient(&identityserver.Refusal{Errcode: "M_GUEST_ACCESS_FORBIDDEN", Body: []byte(`{"errcode":"M_GUEST_ACCESS_FORBIDDEN"}`)})
	if got := guests.Body.String(); got != `{"errcode":"M_UNAUTHORIZED"}` {
		t.Errorf("got %s: a client takes it for the homeserver's word", got)
	}
}
