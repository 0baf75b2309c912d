// SPDX-License-Identifier: Apache-2.0

package stack

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/dendrite"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/fakehs"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/freeport"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/smstest"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/smtptest"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/synapse"
)

// ServerName is the domain of the user IDs, unless Options say otherwise.
const ServerName = "example.test"

// Options say what to start.
type Options struct {
	// Dir receives all files; required.
	Dir string
	// Caddy is the program, from [Build]; required.
	Caddy string
	// Synapse is the homeserver; nil runs the double instead.
	Synapse *synapse.Env
	// Dendrite is the homeserver in place of Synapse, if it is not nil.
	Dendrite *dendrite.Env
	// TrustedIDServers are identity servers that the homeserver believes besides
	// our module.
	TrustedIDServers []string
	// Callback asks the homeserver about addresses (checks callback).
	Callback bool
	// RequireEmail makes the homeserver register nobody without an address.
	RequireEmail bool
	// DisableRegistration makes it register nobody at all, and CaptchaVerify is
	// the URL by which it has captchas judged, if it has any.
	DisableRegistration bool
	CaptchaVerify       string
	// Terms is true if it has terms that everybody agrees to.
	Terms bool
	// Gate is our registration_gate, or empty.
	Gate string
	// Notices tells the addresses of an account of its changes, as it is by
	// default. Most tests read one mail after the other, and do not expect them.
	Notices bool
	// NextLink is an origin that next_link may name, or empty.
	NextLink string
	// MapVersions lets the public site map the client paths that the module
	// does not own to the version that an old homeserver knows, with Caddy's own
	// directives: clients of today only speak v3.
	MapVersions bool
	// ServerName is the domain of the user IDs. Default: ServerName.
	ServerName string
	// Federation lets identity servers ask the homeserver about its users.
	Federation bool
	// TrustAnyIDServer is the option of Synapse that is for testing only.
	TrustAnyIDServer bool
	// DistrustName leaves our name out of the homeserver's list of identity
	// servers, and DistrustCertificate our authority out of its bundle: two
	// mistakes of the first hour.
	DistrustName, DistrustCertificate bool
	// CAFiles are certificates that the homeserver trusts besides Caddy's.
	CAFiles []string
	// Roots is the file of the certificates that our Caddy trusts instead of
	// the system's, or empty.
	Roots string
	// IdentityServers are those that may be on loopback.
	IdentityServers []string
	// Admin is where Caddy's admin endpoint listens, as in a Caddyfile. Default:
	// nowhere.
	Admin string
	// Nodes is the number of Caddys that share one key file, each with its own
	// store and its own admin endpoint, a socket in Dir. Default: one, with the
	// key file in its data folder.
	Nodes int
	// SMSSender is how messages are handed to phones: a sender's module and its
	// block, as in a Caddyfile. Default: the stack's own gateway, see Phones.
	SMSSender string
	// Beside are more sites in front of the same homeserver, each with a folder below
	// Dir, and a Caddy, an inbox and a gateway of its own. What is said of the homeserver
	// in these is ignored, but for the two mistakes. It has to be a Synapse.
	Beside []Options
	// Logf, when set, is told what is being started.
	Logf func(format string, args ...any)
}

// Stack is what runs.
type Stack struct {
	// Public is the address of our Caddy; Direct that of the homeserver, which
	// a well-run site hides; Identity that of the homeserver-facing side.
	Public, Direct, Identity string
	// ServerName is the domain of the user IDs.
	ServerName string
	Inbox      *smtptest.Server
	// Phones is the gateway that short messages are handed to, unless Options
	// say otherwise.
	Phones *smstest.Server
	Caddy  *Caddy
	// Nodes are the Caddys; Public, Identity and Caddy are those of the first.
	Nodes []*Node
	// Homeserver is the real Synapse; nil where the double, or Dendrite, runs.
	Homeserver *synapse.Server
	// Dendrite is the homeserver where it runs.
	Dendrite *dendrite.Server
	// Beside are the other sites in front of the homeserver. They stop with this one.
	Beside []*Stack
	opts   Options
	stops  []func()
}

// mapVersions is what an administrator would write. The paths that the module
// owns are left out, so that tests see the module's own mapping of them.
const mapVersions = `	@modern {
		path /_matrix/client/v3/*
		not path /_matrix/client/v3/register /_matrix/client/v3/register/*/requestToken
		not path /_matrix/client/v3/account/password /_matrix/client/v3/account/password/*
		not path /_matrix/client/v3/account/3pid /_matrix/client/v3/account/3pid/*
		not path /_matrix/client/v3/account/deactivate
	}
	uri @modern path_regexp ^/_matrix/client/v3/ /_matrix/client/r0/
	uri path_regexp ^/_matrix/media/v3/ /_matrix/media/r0/
`

// Start starts everything: the mail server, Caddy, and then the homeserver,
// which has to trust the certificate authority that Caddy makes.
func Start(ctx context.Context, opts Options) (s *Stack, err error) {
	if opts.Logf == nil {
		opts.Logf = func(string, ...any) {}
	}
	ports, err := freeport.Take(1)
	if err != nil {
		return nil, err
	}
	direct := ports[0]
	s = newStack(opts, direct)
	defer func() {
		if err != nil {
			s.Stop()
		}
	}()
	if err := s.startSite(ctx, direct); err != nil {
		return s, err
	}
	for i, more := range opts.Beside {
		more.Dir, more.Caddy, more.Synapse, more.Logf = filepath.Join(opts.Dir, fmt.Sprint(i)), opts.Caddy, opts.Synapse, opts.Logf
		more.ServerName = s.ServerName
		b := newStack(more, direct)
		s.Beside, s.stops = append(s.Beside, b), append(s.stops, b.Stop)
		if err := errors.Join(os.Mkdir(more.Dir, 0o700), b.startSite(ctx, direct)); err != nil {
			return s, err
		}
	}
	switch {
	case opts.Dendrite != nil:
		return s, s.startDendrite(ctx, opts, direct)
	case opts.Synapse == nil:
		return s, s.startDouble(opts, direct)
	}
	return s, s.startSynapse(ctx, opts, direct)
}

func newStack(opts Options, direct int) *Stack {
	opts.Nodes = max(opts.Nodes, 1)
	return &Stack{
		opts: opts, ServerName: cmp.Or(opts.ServerName, ServerName), Direct: fmt.Sprintf("http://127.0.0.1:%d", direct),
	}
}

// startSite starts all but the homeserver.
func (s *Stack) startSite(ctx context.Context, direct int) error {
	ports, err := freeport.Take(2 * s.opts.Nodes)
	if err != nil {
		return err
	}
	for i := range s.opts.Nodes {
		s.Nodes = append(s.Nodes, newNode(s.opts, i, ports[2*i], ports[2*i+1]))
	}
	s.Public, s.Identity = s.Nodes[0].Public, s.Nodes[0].Identity
	if err := errors.Join(s.startInbox(s.opts), s.startPhones(s.opts)); err != nil {
		return err
	}
	for _, n := range s.Nodes {
		if err := s.startNode(ctx, s.opts, n, direct); err != nil {
			return err
		}
	}
	s.Caddy = s.Nodes[0].Caddy
	return nil
}

// Stop stops everything, the last one started first.
func (s *Stack) Stop() {
	for _, stop := range slices.Backward(s.stops) {
		stop()
	}
	s.stops = nil
}

// Client makes a client of the public site.
func (s *Stack) Client() *Client { return NewClient(s.Public) }

// generous limits are for tests, which come from one address.
const generous = `limits {
			client 100000 1h
			domain 100000 1h
			user 1000 1h
			messages 100000 1h
			guesses 1000 1h
			mailbox off
			explain_resets on
		}`

func (s *Stack) caddyfile(opts Options, n *Node, direct int) string {
	checks, options, mapping := "off", "", ""
	if opts.Callback {
		checks = "callback"
	}
	if opts.NextLink != "" {
		options = "\t\tnext_link " + opts.NextLink + "\n"
	}
	if opts.Nodes > 1 {
		options += "\t\tkey_file " + filepath.Join(opts.Dir, "keys.json") + "\n"
	}
	if len(opts.IdentityServers) > 0 {
		options += "\t\tallow_identity_servers " + strings.Join(opts.IdentityServers, " ") + "\n"
	}
	options += opts.switches()
	if opts.MapVersions {
		mapping = mapVersions
	}
	options += s.smsBlock(opts)
	return fmt.Sprintf(`{
	admin %s
	skip_install_trust
	auto_https disable_redirects
	log {
		level DEBUG
	}
	threepid {
		public_url %s
		homeserver %s {
			identity_name %s
			checks %s
		}
		`+generous+`
		mailer smtp {
			server %s
			tls starttls
			ca_file %s
			from "Example <noreply@%s>"
			helo mail.%s
		}
%s	}
}
http://127.0.0.1:%d {
	log
%s	threepid
	reverse_proxy 127.0.0.1:%d
}
https://localhost:%d {
	bind 127.0.0.1
	tls internal
	threepid_identity
}
`, cmp.Or(n.admin, "off"), n.Public, opts.kind(), n.Identity, checks, s.Inbox.Addr(), filepath.Join(opts.Dir, "inbox-ca.pem"),
		ServerName, ServerName, options, n.public, mapping, direct, n.identity)
}

// switches are those that are not as they come.
func (o Options) switches() (lines string) {
	if o.Gate != "" {
		lines += "\t\tregistration_gate " + o.Gate + "\n"
	}
	if !o.Notices {
		lines += "\t\tnotices off\n"
	}
	return lines
}

func (s *Stack) startInbox(opts Options) error {
	inbox, err := smtptest.Start(smtptest.Options{Mode: smtptest.STARTTLS})
	if err != nil {
		return fmt.Errorf("start mail server: %w", err)
	}
	s.Inbox = inbox
	s.stops = append(s.stops, func() { _ = inbox.Close() })
	opts.Logf("mail server on %s", inbox.Addr())
	if err := os.WriteFile(filepath.Join(opts.Dir, "inbox-ca.pem"), inbox.CAPEM(), 0o600); err != nil {
		return fmt.Errorf("write certificate: %w", err)
	}
	return nil
}

func (s *Stack) startSynapse(ctx context.Context, opts Options, port int) error {
	opts.Logf("starting Synapse %s on %s", opts.Synapse.Version, s.Direct)
	options := synapse.Options{
		Dir: filepath.Join(opts.Dir, "synapse"), ServerName: s.ServerName, Port: port,
		Federation: opts.Federation, CAFiles: slices.Clone(opts.CAFiles),
		RequireEmail: opts.RequireEmail, TrustedIDServers: slices.Clone(opts.TrustedIDServers),
		DisableRegistration: opts.DisableRegistration, CaptchaVerify: opts.CaptchaVerify, Terms: opts.Terms,
		ResetTrust: !opts.newest(), TrustAnyIDServer: opts.TrustAnyIDServer,
	}
	sites := append([]*Stack{s}, s.Beside...)
	for _, site := range sites {
		site.makeKnown(&options)
	}
	hs, err := synapse.Start(ctx, *opts.Synapse, options)
	if err != nil {
		return err
	}
	for _, site := range sites {
		site.Homeserver = hs
	}
	s.stops = append(s.stops, hs.Stop)
	return nil
}

// makeKnown tells the homeserver of the site, but for what its mistakes leave out.
func (s *Stack) makeKnown(options *synapse.Options) {
	if s.opts.DistrustName {
		options.TrustedIDServers = append(options.TrustedIDServers, "matrix.org", "vector.im") // its defaults
	}
	for _, n := range s.Nodes {
		if !s.opts.DistrustName {
			options.TrustedIDServers = append(options.TrustedIDServers, n.Identity)
		}
		if !s.opts.DistrustCertificate {
			options.CAFiles = append(options.CAFiles, n.Caddy.CAFile())
		}
	}
}

func (s *Stack) startDouble(opts Options, port int) error {
	opts.Logf("starting a double of Synapse 1.3.1 on %s", s.Direct)
	pem, err := os.ReadFile(s.Caddy.CAFile())
	if err != nil {
		return fmt.Errorf("read certificate: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return errors.New("caddy's root certificate cannot be read")
	}
	hs := fakehs.New(fakehs.Options{
		ServerName: s.ServerName, TrustedIDServers: []string{s.Identity}, ResetMode: fakehs.ResetRemote,
		RegistrationEnabled: !opts.DisableRegistration, Require3PIDEmail: opts.RequireEmail,
		HTTPClient: &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}},
	})
	l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	server := &http.Server{Handler: hs, ReadHeaderTimeout: time.Minute}
	go func() { _ = server.Serve(l) }() // until Close
	s.stops = append(s.stops, func() { _ = server.Close() })
	return nil
}

func awaitFile(ctx context.Context, path string) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	for {
		if info, err := os.Stat(path); err == nil && info.Size() > 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("caddy has not made its certificate authority: %w", ctx.Err())
		case <-time.After(50 * time.Millisecond):
		}
	}
}
