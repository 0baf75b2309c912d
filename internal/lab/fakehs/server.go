// SPDX-License-Identifier: Apache-2.0

package fakehs

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"io"
	"net/http"
	"regexp"
	"slices"
	"sync"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/faults"
)

// Version is the version of Synapse whose behaviour the server has.
const Version = "1.3.1"

// defaultIDServerTimeout is how long Synapse waits for an identity server.
const defaultIDServerTimeout = 60 * time.Second

// ResetMode is what the homeserver does with password resets by email, which in
// Synapse 1.0 to 1.3.1 follows from the email section of its configuration.
type ResetMode string

const (
	// ResetOff refuses resets by email. It is Synapse's default, and ours.
	ResetOff ResetMode = "off"
	// ResetRemote leaves the validation to the identity server named by the client
	// (trust_identity_server_for_password_resets).
	ResetRemote ResetMode = "remote"
	// ResetLocal has the homeserver send its own mail and keep its own sessions.
	ResetLocal ResetMode = "local"
)

// Options is the homeserver's configuration. The zero value is a server named
// localhost that trusts no identity server and registers nobody.
type Options struct {
	// ServerName is the domain of the user IDs. Default: "localhost".
	ServerName string

	// TrustedIDServers lists the id_server spellings that are trusted; a client's
	// id_server must equal one of them byte for byte.
	TrustedIDServers []string

	// ResetMode is what happens to password resets by email. Default: ResetOff.
	ResetMode ResetMode

	// RegistrationEnabled opens POST /register. Default: closed, 403.
	RegistrationEnabled bool

	// Require3PIDEmail leaves only the flows of /register that have an email stage.
	Require3PIDEmail bool

	// DisableMSISDNRegistration removes the flows of /register that have a phone
	// stage. Synapse offers them by default, although nothing may implement them.
	DisableMSISDNRegistration bool

	// CaptchaResponse is the response that solves the captcha before every flow of
	// /register. Empty: there is none.
	CaptchaResponse string

	// Terms has them accepted in every flow of /register.
	Terms bool

	// RegistrationToken is asked for before every flow of /register, which no
	// Synapse before 1.42 could. Empty: it is not.
	RegistrationToken string

	// PhoneReset lets a password be reset by a phone number, which no Synapse can:
	// it authenticates, and then answers 500.
	PhoneReset bool

	// TrustAnyIDServer believes every identity server, as Synapse does with the
	// option that its authors named "just for testing, do not use".
	TrustAnyIDServer bool

	// Later adds what came after 1.3.1 and has interactive authentication: version
	// v3, /account/3pid/add, /keys/device_signing/upload and /login/get_token. They
	// get the memory of 1.3.1, so that this is worse than any homeserver there was.
	Later bool

	// ConfirmByAddress lets users confirm with a proof of an address of theirs what is
	// otherwise confirmed with the password, and adds an endpoint that authenticates
	// for each method that changes something. No Synapse has it; other homeservers may.
	ConfirmByAddress bool

	// Now is the clock by which sessions of interactive authentication end. Default:
	// time.Now.
	Now func() time.Time

	// AllowedLocal3PIDs are regular expressions, matched at the start of the address
	// as sent, one of which an email address must match. Empty: all are allowed.
	AllowedLocal3PIDs []string

	// HTTPClient calls identity servers; its transport holds the CA they need.
	// Default: http.DefaultClient.
	HTTPClient *http.Client

	// IDServerTimeout bounds one call to an identity server. Default: 60 s.
	IDServerTimeout time.Duration
}

// Server is the homeserver. Create it with [New]; it is safe for concurrent use.
type Server struct {
	faults.Queue
	opts    Options
	allowed []*regexp.Regexp
	client  *http.Client
	signer  ed25519.PrivateKey
	pepper  []byte
	routes  []route

	mu         sync.Mutex
	users      map[string]*user    // by localpart in lower case
	tokens     map[string]device   // by access token
	threepids  []threepid          // in order of insertion
	bound      map[binding]bool    // where a 3PID was bound, for unbinding
	uia        map[string]*session // by session ID
	begun      time.Time           // when sessions were begun to be forgotten
	names      []string            // the ID of every session there ever was
	ledger     []Change            // what was done to accounts
	resets     []*localReset       // ResetLocal only
	nextUserID int
	requests   []Request
	calls      []IDServerCall
}

// New returns a homeserver without accounts. It panics when an expression in
// AllowedLocal3PIDs does not compile, as only a programmer can cause that.
func New(opts Options) *Server {
	if opts.ServerName == "" {
		opts.ServerName = "localhost"
	}
	if opts.ResetMode == "" {
		opts.ResetMode = ResetOff
	}
	if opts.HTTPClient == nil {
		opts.HTTPClient = http.DefaultClient
	}
	if opts.IDServerTimeout == 0 {
		opts.IDServerTimeout = defaultIDServerTimeout
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	opts.TrustedIDServers = slices.Clone(opts.TrustedIDServers)

	s := &Server{
		opts:   opts,
		client: withoutPostRedirects(opts.HTTPClient),
		pepper: []byte(rand.Text()),
		users:  make(map[string]*user),
		tokens: make(map[string]device),
		bound:  make(map[binding]bool),
		uia:    make(map[string]*session),
		begun:  opts.Now(),
	}
	for _, pattern := range opts.AllowedLocal3PIDs {
		s.allowed = append(s.allowed, regexp.MustCompile("^(?:"+pattern+")"))
	}
	// A nil reader is the system's randomness, which does not fail.
	_, s.signer, _ = ed25519.GenerateKey(nil)
	s.routes = s.synapseRoutes()
	return s
}

// ServeHTTP records the request, lets an injected fault have it if one is due, and
// otherwise answers it as the homeserver would.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		// The client went away or broke its own framing; Synapse never dispatches
		// a request whose body did not arrive.
		panic(http.ErrAbortHandler)
	}
	r.Body = io.NopCloser(bytes.NewReader(body))

	w.Header().Set("Server", "Synapse/"+Version)
	due := s.record(r, body)
	answer := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.dispatch(w, r, body) })
	if due != nil {
		due(w, r, answer)
		return
	}
	answer(w, r)
}
