// SPDX-License-Identifier: Apache-2.0

package stack

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// Node is one Caddy of a stack. Several have one key file, as the nodes of a site
// do, and each its own store.
type Node struct {
	// Public is the address of its public site, Identity that of the
	// homeserver-facing one.
	Public, Identity string
	Caddy            *Caddy
	// public and identity are the ports of these.
	public, identity int
	// admin is where its admin endpoint listens, or empty.
	admin string
	start func(context.Context) (*Caddy, error)
}

func newNode(opts Options, i, public, identity int) *Node {
	n := &Node{
		Public: fmt.Sprintf("http://127.0.0.1:%d", public), Identity: fmt.Sprintf("localhost:%d", identity),
		public: public, identity: identity, admin: opts.Admin,
	}
	if opts.Nodes > 1 {
		n.admin = fmt.Sprintf("unix/%s|0600", filepath.Join(opts.Dir, fmt.Sprintf("node%d.sock", i)))
	}
	return n
}

// startNode starts one of the Caddys, and keeps how.
func (s *Stack) startNode(ctx context.Context, opts Options, n *Node, direct int) error {
	name := "caddy"
	if n != s.Nodes[0] {
		name += fmt.Sprint(n.public)
	}
	dir := filepath.Join(opts.Dir, name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make folder: %w", err)
	}
	var env []string
	if opts.Roots != "" {
		env = append(env, "SSL_CERT_FILE="+opts.Roots)
	}
	config := s.caddyfile(opts, n, direct)
	n.start = func(ctx context.Context) (*Caddy, error) {
		opts.Logf("starting Caddy on %s", n.Public)
		return StartCaddy(ctx, opts.Caddy, dir, config, env, n.public, n.identity)
	}
	s.stops = append(s.stops, func() {
		if n.Caddy != nil {
			n.Caddy.Stop()
		}
	})
	var err error
	if n.Caddy, err = n.start(ctx); err != nil {
		return err
	}
	return awaitFile(ctx, n.Caddy.CAFile())
}

// Client makes a client of the node's public site.
func (n *Node) Client() *Client { return NewClient(n.Public) }

// Restart ends the node's Caddy in good order and starts it again with the same
// configuration and data.
func (n *Node) Restart(ctx context.Context) error {
	n.Caddy.Stop()
	c, err := n.start(ctx)
	if err != nil {
		return err
	}
	n.Caddy = c
	return nil
}

// Reload has the node's Caddy take its configuration once more, and waits until the
// former one has left.
func (n *Node) Reload(ctx context.Context) error {
	if err := n.run(ctx, "--address", "reload", "--force", "--config", filepath.Join(n.Caddy.dir, "Caddyfile")); err != nil {
		return err
	}
	at, err := url.Parse(n.Public)
	if err != nil {
		return err
	}
	port, err := strconv.Atoi(at.Port())
	if err != nil {
		return err
	}
	return AwaitHandover(ctx, port)
}

// RotateKeys has the node begin to use a new key.
func (n *Node) RotateKeys(ctx context.Context) error {
	return n.run(ctx, "--admin", "threepid", "rotate-keys")
}

// run runs a command of the program at the node's admin endpoint, which the flag
// names.
func (n *Node) run(ctx context.Context, flag string, args ...string) error {
	address, _, _ := strings.Cut(n.admin, "|")
	cmd := exec.CommandContext(ctx, n.Caddy.cmd.Path, append(args, flag, address)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return nil
}
