// SPDX-License-Identifier: Apache-2.0

package stack

import (
	"context"
	"path/filepath"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/dendrite"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/synapse"
)

// startDendrite starts the homeserver in Go, where registration is open.
func (s *Stack) startDendrite(ctx context.Context, opts Options, port int) error {
	opts.Logf("starting Dendrite %s on %s", dendrite.Version, s.Direct)
	hs, err := dendrite.Start(ctx, *opts.Dendrite, dendrite.Options{
		Dir: filepath.Join(opts.Dir, "dendrite"), ServerName: s.ServerName, Port: port, OpenRegistration: true,
		TrustedIDServers: append([]string{s.Identity}, opts.TrustedIDServers...),
		CAFiles:          append([]string{s.Caddy.CAFile()}, opts.CAFiles...),
	})
	if err != nil {
		return err
	}
	s.Dendrite = hs
	s.stops = append(s.stops, hs.Stop)
	return nil
}

// kind is what our configuration calls the homeserver.
func (o Options) kind() string {
	if o.Dendrite != nil {
		return "dendrite"
	}
	if o.newest() {
		return "generic" // it verifies addresses by itself
	}
	return "synapse"
}

// newest reports whether the homeserver is the newest Synapse.
func (o Options) newest() bool {
	return o.Synapse != nil && o.Synapse.Version == synapse.NewestVersion
}
