// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/caddy-threepid/caddy-threepid/caddymodule"
	"github.com/caddy-threepid/caddy-threepid/caddymodule/admin"
)

// remoteFlags are those of commands that ask the running server. They come after
// those of the command itself: where it has no --address, that is still taken for
// --admin, which was called so before.
func remoteFlags(cmd *cobra.Command) *cobra.Command {
	cmd.Flags().String("admin", "", "The admin endpoint, like unix//run/threepid/admin.sock or localhost:2019")
	configFlags(cmd, "The configuration to find the admin endpoint in")
	if cmd.Flags().Lookup("address") == nil {
		cmd.Flags().String("address", "", "What --admin was called before")
		_ = cmd.Flags().MarkDeprecated("address", "name the admin endpoint with --admin") // the flag exists
	}
	return cmd
}

func configFlags(cmd *cobra.Command, what string) {
	cmd.Flags().StringP("config", "c", "", what)
	cmd.Flags().StringP("adapter", "a", "", "The name of the adapter of that configuration")
}

// remote is the admin endpoint of a running server.
type remote struct{ address string }

func newRemote(flags caddycmd.Flags) (remote, error) {
	admin := flags.String("admin")
	if old := flags.Lookup("address"); admin == "" && old.Deprecated != "" {
		admin = flags.String("address")
	}
	if strings.Contains(admin, "@") {
		return remote{}, wrongUse("this is asked about no person's address: the admin endpoint is a socket or host:port")
	}
	address, err := adminAddress(admin, flags.String("config"), flags.String("adapter"), caddymodule.DocumentedSocket)
	return remote{address}, err
}

// maxAdminAnswer bounds what is read of the server's answer, in bytes.
const maxAdminAnswer = 8 << 20

// ask sends a request. A body that is not nil is sent as JSON; what has an effect
// has one, and the header that lets it in.
func (r remote) ask(method, path string, body any) (*http.Response, error) {
	header := http.Header{}
	var payload io.Reader
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			return nil, fmt.Errorf("encode request: %w", err)
		}
		payload = bytes.NewReader(raw)
		header.Set(admin.DoorHeader, admin.DoorValue)
	}
	resp, err := caddycmd.AdminAPIRequest(r.address, method, path, header, payload)
	if err == nil {
		return resp, nil
	}
	said, ok := refusalIn(err)
	switch {
	case ok && said.elsewhere():
		return nil, fmt.Errorf("%w; if that of %s is not the right Caddy, "+nameIt, said, r.address)
	case ok:
		return nil, said
	}
	return nil, fmt.Errorf("nobody answers at the admin endpoint %s (is Caddy running, and are you its user or root? "+nameIt+"): %w", r.address, err)
}

const nameIt = "name another endpoint with --admin, or the configuration with --config"

// refusedError is what the server says in place of doing what it was asked for.
type refusedError string

func (r refusedError) Error() string { return "the server refuses: " + string(r) }

// elsewhere reports that whoever answers has no threepid at all.
func (r refusedError) elsewhere() bool {
	return string(r) == caddymodule.ErrNotUsed.Error() || strings.HasPrefix(string(r), strconv.Itoa(http.StatusNotFound)+": ")
}

// answeredWith is how Caddy's client tells of an answer that is no success: in
// text only.
const answeredWith = "caddy responded with error: HTTP "

// maxRefusal bounds what is repeated of an answer that is none of Caddy's, in bytes.
const maxRefusal = 300

// refusalIn finds the words of the server in an error of Caddy's client.
func refusalIn(err error) (refusedError, bool) {
	_, answer, ok := strings.Cut(err.Error(), answeredWith)
	if !ok {
		return "", false
	}
	_, body, _ := strings.Cut(answer, ": ")
	var said struct {
		Error string `json:"error"`
	}
	if json.Unmarshal([]byte(body), &said) == nil && said.Error != "" {
		return refusedError(said.Error), true
	}
	return refusedError(answer[:min(len(answer), maxRefusal)]), true
}

// fetch asks for one path and returns the body of the answer.
func (r remote) fetch(method, path string, body any) ([]byte, error) {
	resp, err := r.ask(method, path, body)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxAdminAnswer+1))
	if err != nil {
		return nil, fmt.Errorf("read the server's answer: %w", err)
	}
	if len(raw) > maxAdminAnswer {
		return nil, errors.New("read the server's answer: it is too large")
	}
	return raw, nil
}

// call asks for one path and decodes the answer.
func (r remote) call(method, path string, body, into any) error {
	raw, err := r.fetch(method, path, body)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return fmt.Errorf("read the server's answer: %w", err)
	}
	return nil
}
