// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
)

// adminAddress finds the admin endpoint: as the command line says, as the
// configuration that it names says, as CADDY_ADMIN says, where Caddyfile.example
// has it if there is something, and else where Caddy has it by default.
func adminAddress(address, config, adapter, socket string) (string, error) {
	_, packaged := os.LookupEnv("CADDY_ADMIN") // Caddy's own default then
	if address == "" && config == "" && !packaged && socketAt(socket) {
		return caddy.JoinNetworkAddress("unix", socket, ""), nil
	}
	found, err := caddycmd.DetermineAdminAPIAddress(address, nil, config, adapter)
	if err != nil {
		return "", err
	}
	// The server takes placeholders in the configuration too.
	if found, err = caddy.NewReplacer().ReplaceOrErr(found, true, true); err != nil {
		return "", fmt.Errorf("read the address of the admin endpoint: %w", err)
	}
	return found, nil
}

// socketAt reports whether there is a socket, or something that only others may
// see.
func socketAt(path string) bool {
	info, err := os.Stat(path)
	if err != nil {
		return errors.Is(err, fs.ErrPermission)
	}
	return info.Mode().Type() == fs.ModeSocket
}
