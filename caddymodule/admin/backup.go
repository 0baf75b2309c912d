// SPDX-License-Identifier: Apache-2.0

package admin

import (
	"context"
	"errors"
	"io"
	"net/http"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-threepid/caddy-threepid/caddymodule"
	"github.com/caddy-threepid/caddy-threepid/store"
)

// streamed is an answer that is written while it is made. It is bound by the
// connection, and not by the time for an answer.
type streamed func(ctx context.Context, w io.Writer) error

// serve writes it. An error in the middle is seen by the reader, who misses the
// checksum at the end.
func (s streamed) serve(ctx context.Context, w http.ResponseWriter) error {
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Cache-Control", "no-store")
	return s(ctx, w)
}

func backup(_ context.Context, app *caddymodule.App, _ Nothing) (any, error) {
	inst, release, err := serving(app)
	if err != nil {
		return nil, err
	}
	source, ok := inst.Store.Store.(store.Backuper)
	if !ok {
		release()
		return nil, caddy.APIError{HTTPStatus: http.StatusNotImplemented, Err: errors.New("this store has its own way of being backed up")}
	}
	return streamed(func(ctx context.Context, w io.Writer) error {
		defer release()
		return source.WriteBackup(ctx, w)
	}), nil
}
