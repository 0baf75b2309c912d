// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"context"
	"crypto"
	"crypto/x509"
	"net"
	"net/http"
	"time"
)

// The deadlines of [Run], unless told otherwise.
const (
	DefaultCheckTimeout = 10 * time.Second
	DefaultTimeout      = 30 * time.Second
)

// Options are what is to be checked, and with what. All of it is optional: a
// check without its input is left out of the report.
type Options struct {
	// Config holds what the configuration alone can tell.
	Config *Config
	// Wiring tells how the handlers are put together wrongly, and what requests
	// have shown of that.
	Wiring func() []WiringProblem
	// Relays are tried one by one, all at once.
	Relays []Relay
	// Domains are those of senders; they are looked up with Resolver.
	Domains []Domain
	// Resolver may be a [net.Resolver].
	Resolver Resolver
	// Templates loads all templates as the server does.
	Templates func(context.Context) []TemplateProblem
	// Outbox tells the state of the queue.
	Outbox func(context.Context) (OutboxStatus, error)

	// PublicURL is the option public_url.
	PublicURL string
	// Prove answers a challenge as the handler of [ProbePath] does in this process.
	Prove func(challenge string) string
	// Client is for PublicURL; only its transport is used. Default: a plain one,
	// with the system's authorities.
	Client *http.Client
	// Homeserver is the kind in the configuration: synapse, dendrite, generic.
	Homeserver string
	// IdentityName is the option identity_name.
	IdentityName string
	// FaceCalls counts the calls of getValidated3pid since the start, refused
	// ones included.
	FaceCalls func() uint64
	// IdentityRoots vouch for the certificate of IdentityName: the system's
	// authorities and Caddy's own. Default: the system's alone.
	IdentityRoots *x509.CertPool
	// IdentityDial connects to IdentityName. Default: a [net.Dialer].
	IdentityDial func(ctx context.Context, network, address string) (net.Conn, error)

	// Store is the database.
	Store *Store
	// KeyFile is the file that seals the database.
	KeyFile *KeyFile
	// DomainList is the list of disposable domains.
	DomainList *DomainList
	// Admin is where commands are taken.
	Admin *AdminEndpoint

	// Now is the clock that is checked. Default: [time.Now].
	Now func() time.Time
	// CheckTimeout bounds each check, Timeout all of them.
	CheckTimeout, Timeout time.Duration
	// stepTimeout bounds what a check waits for. It is less than CheckTimeout,
	// so that the check can still say what was slow.
	stepTimeout time.Duration
}

// Config is what was configured.
type Config struct {
	// NoMailer: mail is written into a folder.
	NoMailer bool
	// NoChecks: nobody decides whether an address may have a token.
	NoChecks bool
}

// Relay is one mail relay.
type Relay struct {
	// Name is what the operator calls it.
	Name string
	// Check tries the relay up to MAIL FROM, and ends at the first step that
	// fails.
	Check func(context.Context) []RelayStep
}

// RelayStep is one step of a conversation with a relay.
type RelayStep struct {
	// Step is "dial" (or "connect"), "greeting", "hello" (or "ehlo"), "tls",
	// "auth" or "mail".
	Step string
	// OK reports whether it succeeded.
	OK bool
	// Code is one of the exported codes if it did not, see [CodeOfReason]. Of a
	// step that succeeded, only CodeCertExpiresSoon matters.
	Code string
	// Detail is what the relay or the network said. It is cut short, and
	// addresses in it are left out.
	Detail string
	// Said is the relay's reply to what it refused, or empty.
	Said string
}

// Resolver looks names up; [net.Resolver] is one. A name that does not exist is
// a [net.DNSError] with IsNotFound.
type Resolver interface {
	LookupTXT(ctx context.Context, name string) ([]string, error)
	LookupMX(ctx context.Context, name string) ([]*net.MX, error)
	LookupHost(ctx context.Context, host string) ([]string, error)
}

// Domain is what is sent from it.
type Domain struct {
	// From is the domain of the From header.
	From string
	// Envelope is the domain of the envelope's sender. Default: From.
	Envelope string
	// RelayHosts are the hosts of the relays that are used for it.
	RelayHosts []string
	// DKIM is the signature we make; nil if we make none.
	DKIM *DKIM
}

// DKIM is a signature, by its public part.
type DKIM struct {
	Domain   string // d=
	Selector string // s=
	Key      crypto.PublicKey
}

// TemplateProblem is what loading a template found.
type TemplateProblem struct {
	File    string
	Problem string
	// Fatal: the template is not used.
	Fatal bool
}

// OutboxStatus is the state of the queue.
type OutboxStatus struct {
	Depth, Max int // Max 0: unbounded
	// Oldest is how long the oldest message has been waiting.
	Oldest time.Duration
	Relays []RelayStatus
}

// RelayStatus is how a relay has fared with the messages of the queue.
type RelayStatus struct {
	Name string
	// LastError is empty if the last try succeeded.
	LastError string
	// Stopped: the circuit breaker is open.
	Stopped bool
}

// Store is the database.
type Store struct {
	// Name is its kind or its folder.
	Name string
	// Ping writes and reads something.
	Ping func(context.Context) error
	// Free tells how many bytes are left where it writes; nil for a remote one.
	Free func() (uint64, error)
	// Age tells since when it has known anything; nil if that cannot be told.
	Age func(context.Context) (StoreAge, error)
}

// StoreAge is how old a store is beside its keys.
type StoreAge struct {
	// Begun is when it was new, zero if that is not known.
	Begun time.Time
	// Keys is when the oldest of its keys came into use, zero if that was before
	// such was noted.
	Keys time.Time
}

// KeyFile is the file with the secret keys.
type KeyFile struct {
	Path string
	// StorePath is the store's folder, if it has one.
	StorePath string
	// UID is the user who should own the file. Default: the process's.
	UID *int
	// State reads the file as the next start will; nil if that cannot be done.
	State func(context.Context) (KeyState, error)
}

// KeyState is how the key file stands to the server that runs.
type KeyState struct {
	// Other: it does not have the key that the server is using.
	Other bool
	// Copied: somebody has shown the server a copy of it that has every key.
	Copied bool
}

// withDefaults fills in what was left out.
func (o Options) withDefaults() Options {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.CheckTimeout <= 0 {
		o.CheckTimeout = DefaultCheckTimeout
	}
	if o.Timeout <= 0 {
		o.Timeout = DefaultTimeout
	}
	if o.stepTimeout <= 0 {
		o.stepTimeout = o.CheckTimeout * 4 / 5
	}
	if o.IdentityDial == nil {
		o.IdentityDial = new(net.Dialer).DialContext
	}
	if o.Homeserver == "" {
		o.Homeserver = "generic"
	}
	return o
}
