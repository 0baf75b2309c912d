// SPDX-License-Identifier: Apache-2.0

package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-threepid/caddy-threepid/caddymodule"
)

// Caddy's admin endpoint believes whoever reaches it. Where it listens on a port,
// that is every program of the machine: browsers, and the homeserver, which posts
// JSON wherever its users' pushers say (push gateway API, POST
// /_matrix/push/v1/notify; nothing keeps the URL from being ours). So whatever has
// an effect is done only for who shows, by this header, that the request was made
// for us.
//
// Its name begins with Sec-, and so it is a forbidden request-header (Fetch, 2.2.2):
// no form, no link and no script of any page can set it, not even one of the same
// origin, which is what a page gets by rebinding a name. A homeserver's push has no
// headers that a user could choose.
const (
	DoorHeader = "Sec-Threepid-Admin"
	DoorValue  = "1"
)

// action is what a request asks for, with what was in it.
type action func(ctx context.Context, app *caddymodule.App) (any, error)

// endpoint is one path of ours.
type endpoint struct {
	method string
	// read makes an action of a request. The request goes no further, so that
	// there is no second reading of it.
	read func(r *http.Request) (action, error)
}

// shows is an endpoint that tells something and changes nothing. Everybody who
// reaches the admin endpoint may ask for it.
func shows(do action) endpoint {
	return endpoint{http.MethodGet, func(*http.Request) (action, error) { return do, nil }}
}

// does is an endpoint that has an effect: behind the door, and with a strict body.
// T is a flat struct; every member of it needs a JSON tag.
func does[T any](do func(ctx context.Context, app *caddymodule.App, req T) (any, error)) endpoint {
	return endpoint{http.MethodPost, func(r *http.Request) (action, error) {
		if err := passDoor(r); err != nil {
			return nil, err
		}
		var req T
		if err := readCommand(r, &req); err != nil {
			return nil, err
		}
		return func(ctx context.Context, app *caddymodule.App) (any, error) { return do(ctx, app, req) }, nil
	}}
}

// Nothing is the body of what needs no parameters: an empty object.
type Nothing struct{}

// Errors of the door.
var (
	errNoHeader = errors.New("nothing is done without the header '" + DoorHeader + ": " + DoorValue +
		"', which neither web pages nor homeservers can send; `caddy threepid` sends it")
	errFromPage    = errors.New("nothing is done for web pages: the request has an 'Origin' or 'Sec-Fetch-Site' that no command has")
	errContentType = errors.New("the body must have the content type application/json")
	errNotCommand  = errors.New("the body is not the JSON object that it should be: no member may be unknown or come twice, and nothing may follow")
	errTooLarge    = errors.New("the body is too large")
)

// passDoor refuses what was not sent by a program that means us.
func passDoor(r *http.Request) error {
	if !slices.Equal(r.Header.Values(DoorHeader), []string{DoorValue}) {
		return caddy.APIError{HTTPStatus: http.StatusForbidden, Err: errNoHeader}
	}
	// Browsers say what they are. Caddy's own commands have the origin of the
	// endpoint itself, where it listens on a port.
	_, page := r.Header["Sec-Fetch-Site"]
	origin, sent := r.Header["Origin"]
	if page || sent && !slices.Equal(origin, []string{"http://" + r.Host}) && !slices.Equal(origin, []string{"https://" + r.Host}) {
		return caddy.APIError{HTTPStatus: http.StatusForbidden, Err: errFromPage}
	}
	if !slices.Equal(r.Header.Values("Content-Type"), []string{"application/json"}) {
		return caddy.APIError{HTTPStatus: http.StatusUnsupportedMediaType, Err: errContentType}
	}
	return nil
}

// maxBody bounds what an operator may send, in bytes.
const maxBody = 64 << 10

// readCommand reads a body, which is one object with members that into has, each
// once and in this spelling: [json.Unmarshal] by itself takes other cases, and of
// two members the last.
func readCommand(r *http.Request, into any) error {
	raw, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, maxBody))
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return caddy.APIError{HTTPStatus: http.StatusRequestEntityTooLarge, Err: errTooLarge}
	}
	if err != nil || !utf8.Valid(raw) || !json.Valid(raw) || !hasOnly(raw, membersOf(into)) || json.Unmarshal(raw, into) != nil {
		return refused(errNotCommand)
	}
	return nil
}

// membersOf are the names of a struct's members in JSON.
func membersOf(v any) map[string]bool {
	names := map[string]bool{}
	for _, field := range reflect.VisibleFields(reflect.TypeOf(v).Elem()) {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		names[name] = true
	}
	return names
}

// hasOnly reports whether valid JSON is an object with some of these members, none
// of them twice. It uses names up.
func hasOnly(raw []byte, names map[string]bool) bool {
	dec := json.NewDecoder(bytes.NewReader(raw))
	if first, err := dec.Token(); err != nil || first != json.Delim('{') {
		return false
	}
	for dec.More() {
		name, err := dec.Token()
		key, ok := name.(string)
		if err != nil || !ok || !names[key] {
			return false
		}
		delete(names, key)
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return false
		}
	}
	return true
}
