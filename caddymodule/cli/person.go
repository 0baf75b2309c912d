// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/caddy-threepid/caddy-threepid/caddymodule/admin"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
)

// personFlags name a person by their address.
func personFlags(cmd *cobra.Command) *cobra.Command {
	cmd.Flags().String("address", "", "The email address, or the phone number with its country code; - reads it from standard input")
	cmd.Flags().String("medium", "", "email or msisdn, where the address alone does not show which")
	return cmd
}

var errNoAddress = wrongUse("name the person with --address, an email address or a phone number like +447400123456")

// personOf reads them. Nothing is said of what was typed but that it is wrong.
func personOf(flags caddycmd.Flags) (admin.AddressRequest, error) {
	req := admin.AddressRequest{Medium: threepid.Medium(flags.String("medium")), Address: flags.String("address")}
	if req.Address == "-" {
		line, err := bufio.NewReader(os.Stdin).ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return req, fmt.Errorf("read address: %w", err)
		}
		req.Address = strings.TrimSpace(line)
	}
	switch {
	case req.Address == "":
		return req, errNoAddress
	case endpointLike(req.Address):
		return req, wrongUse("--address is that of a person; name the admin endpoint with --admin")
	}
	return req, nil
}

// endpointLike reports what --address meant elsewhere once.
func endpointLike(address string) bool {
	if strings.HasPrefix(address, "unix/") {
		return true
	}
	_, port, err := net.SplitHostPort(address)
	_, notPort := strconv.ParseUint(port, 10, 16)
	return err == nil && notPort == nil && !strings.Contains(address, "@")
}

// aboutPerson is where to ask, and about whom.
func aboutPerson(flags caddycmd.Flags) (remote, admin.AddressRequest, error) {
	req, err := personOf(flags)
	if err != nil {
		return remote{}, req, err
	}
	server, err := newRemote(flags)
	return server, req, err
}
