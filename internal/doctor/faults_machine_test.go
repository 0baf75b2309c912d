// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"context"
	"crypto/tls"
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/fakehs"
)

// apart lets the homeserver reach the identity site although the doctor does
// not, so that each shows alone.
func apart(spoil func(*rig)) func(*rig) {
	return func(r *rig) {
		r.hsDial = r.identity.start(r.t, r.ca)
		spoil(r)
	}
}

var identityFaults = []broken{
	{"identity: the site is missing", apart(func(r *rig) { r.identity.dial = to(closedPort) }), []string{"identity.certificate connection_refused"}},
	{"identity: unknown name", apart(func(r *rig) { r.identity.dial = noSuchName }), []string{"identity.certificate name_unknown"}},
	{"identity: no route", apart(func(r *rig) { r.identity.dial = noRoute }), []string{"identity.certificate unreachable"}},
	{"identity: hangs up", apart(func(r *rig) { r.identity.dial = to(serveRaw(r.t, slam)) }), []string{"identity.certificate connection_lost"}},
	{"identity: says nothing", apart(func(r *rig) {
		r.identity.dial = to(serveRaw(r.t, silence))
		r.change = shortly
	}), []string{"identity.certificate timeout"}},
	{"identity: silent after the handshake", apart(func(r *rig) {
		config := &tls.Config{Certificates: []tls.Certificate{r.ca.issue(r.t, r.identity.cert)}}
		l := tls.NewListener(listen(r.t), config)
		go func() {
			if c, err := l.Accept(); err == nil {
				silence(c)
			}
		}()
		r.identity.dial = to(l.Addr().String())
		r.change = shortly
	}), []string{"identity.certificate timeout"}},
	{"identity: plain HTTP", apart(func(r *rig) { r.identity.plain = true }), []string{"identity.certificate tls_not_spoken"}},
	{"identity: TLS 1.1", apart(func(r *rig) { r.identity.maxTLS = tls.VersionTLS11 }), []string{"identity.certificate tls_failed"}},
	{"identity: expired certificate", apart(func(r *rig) { r.identity.cert.to = -time.Minute }), []string{"identity.certificate cert_expired"}},
	{"identity: was not renewed", apart(func(r *rig) {
		r.identity.cert.from, r.identity.cert.to = -11*time.Hour, time.Hour
	}), []string{"identity.certificate cert_expires_soon"}},
	{"identity: about to be renewed", apart(func(r *rig) {
		r.identity.cert.from, r.identity.cert.to = -8*time.Hour, 4*time.Hour
	}), nil},
	{"identity: self-signed certificate", apart(func(r *rig) { r.identity.cert.selfSigned = true }), []string{"identity.certificate cert_self_signed"}},
	{"identity: unknown authority", apart(func(r *rig) {
		r.identity.dial = r.identity.start(r.t, r.stranger)
	}), []string{"identity.certificate cert_unknown_authority"}},
	{"identity: certificate for another name", apart(func(r *rig) {
		r.identity.cert.names = []string{"127.0.0.1"}
	}), []string{"identity.certificate cert_wrong_name"}},
	{"identity: the public site", apart(func(r *rig) {
		r.identity.handler = r.module(fakehs.New(r.homeserver))
	}), []string{"identity.certificate wrong_site"}},
	{"identity: a web server", apart(func(r *rig) { r.identity.handler = html(404) }), []string{"identity.certificate wrong_site"}},
	{"identity: no name", apart(func(r *rig) {
		r.change = func(o *Options) {
			o.IdentityName, o.FaceCalls = "%zz", nil
		}
	}), []string{"identity.certificate url_invalid"}},
}

// free lets a disk have so much room.
func free(n uint64, err error) func(*rig) {
	return func(r *rig) {
		r.change = func(o *Options) { o.Store.Free = func() (uint64, error) { return n, err } }
	}
}

// ahead sets our clock.
func ahead(by time.Duration) func(*rig) {
	return func(r *rig) {
		r.change = func(o *Options) { o.Now = func() time.Time { return time.Now().Add(by) } }
	}
}

// keyState is what reading the key file finds.
func keyState(state KeyState, err error) func(*rig) {
	return func(r *rig) {
		r.change = func(o *Options) { o.KeyFile.State = func(context.Context) (KeyState, error) { return state, err } }
	}
}

// storeAge is a store and keys of these ages; negative if that is not known.
func storeAge(store, keys time.Duration) func(*rig) {
	since := func(age time.Duration) time.Time {
		if age < 0 {
			return time.Time{}
		}
		return time.Now().Add(-age)
	}
	return func(r *rig) {
		r.change = func(o *Options) {
			o.Store.Age = func(context.Context) (StoreAge, error) { return StoreAge{Begun: since(store), Keys: since(keys)}, nil }
		}
	}
}

var machineFaults = []broken{
	{"clock: a little off", ahead(20 * time.Second), nil},
	{"clock: off", ahead(2 * time.Minute), []string{"clock clock_skew"}},
	{"clock: behind", ahead(-2 * time.Minute), []string{"clock clock_skew"}},
	{"clock: far off", ahead(-10 * time.Minute), []string{"clock clock_wrong"}},
	{"store: broken", func(r *rig) {
		r.change = func(o *Options) {
			o.Store.Ping = func(context.Context) error { return errors.New("value log of victim@example.net is torn") }
		}
	}, []string{"store store_failed"}},
	{"disk: nearly full", free(255<<20, nil), []string{"disk disk_low"}},
	{"disk: full", free(63<<20, nil), []string{"disk disk_full"}},
	{"disk: enough", free(256<<20, nil), nil},
	{"disk: nobody knows", free(0, errors.New("not supported")), []string{"disk disk_unknown"}},

	{"key file: gone", func(r *rig) { must(r, os.Remove(r.keyPath)) }, []string{"key_file key_file_missing"}},
	{"key file: a folder", func(r *rig) {
		must(r, os.Remove(r.keyPath))
		must(r, os.Mkdir(r.keyPath, 0o700))
	}, []string{"key_file key_file_unreadable"}},
	{"key file: behind a file", func(r *rig) {
		r.keyPath = filepath.Join(r.keyPath, "keys.json")
		r.change = func(o *Options) { o.KeyFile.StorePath = "" }
	}, []string{"key_file key_file_unreadable"}},
	{"key file: for everybody", func(r *rig) { must(r, os.Chmod(r.keyPath, 0o644)) }, []string{"key_file key_file_mode"}},
	{"key file: read-only", func(r *rig) { must(r, os.Chmod(r.keyPath, 0o400)) }, nil},
	{"key file: somebody else's", func(r *rig) {
		stranger := os.Geteuid() + 1
		r.change = func(o *Options) { o.KeyFile.UID = &stranger }
	}, []string{"key_file key_file_owner"}},
	{"key file: in the store's folder", func(r *rig) {
		r.change = func(o *Options) { o.KeyFile.StorePath = filepath.Dir(o.KeyFile.Path) }
	}, []string{"key_file key_file_beside_store"}},
	{"key file: in the store's folder by a link", func(r *rig) {
		link := filepath.Join(r.t.TempDir(), "link")
		must(r, os.Symlink(filepath.Dir(r.keyPath), link))
		r.change = func(o *Options) { o.KeyFile.StorePath = link }
	}, []string{"key_file key_file_beside_store"}},

	{"key file: torn", keyState(KeyState{}, errors.New("it is not valid JSON")), []string{"key_file key_file_unusable"}},
	{"key file: another one", keyState(KeyState{Other: true}, nil), []string{"key_file key_file_other"}},
	{"key file: no copy", keyState(KeyState{}, nil), []string{"key_file key_file_not_copied"}},
	{"key file: copied", keyState(KeyState{Copied: true}, nil), nil},

	{"store: younger than its keys", storeAge(24*time.Hour, 48*time.Hour), []string{"store store_new"}},
	{"store: younger than keys of unknown age", storeAge(24*time.Hour, -1), []string{"store store_new"}},
	{"store: as old as its keys", storeAge(24*time.Hour, 24*time.Hour+time.Minute), nil},
	{"store: older than its keys", storeAge(24*time.Hour, time.Hour), nil},
	{"store: not so new any more", storeAge(31*24*time.Hour, 48*24*time.Hour), nil},
	{"store: of unknown age", storeAge(-1, 24*time.Hour), nil},

	{"outbox: unknown", func(r *rig) {
		r.change = func(o *Options) {
			o.Outbox = func(context.Context) (OutboxStatus, error) { return OutboxStatus{}, errors.New("store is closed") }
		}
	}, []string{"outbox outbox_unknown"}},
	{"outbox: somebody is waiting", func(r *rig) { r.outbox.Oldest = 6 * time.Minute }, []string{"outbox outbox_old"}},
	{"outbox: four fifths", func(r *rig) { r.outbox.Depth = 80 }, nil},
	{"outbox: nearly full", func(r *rig) { r.outbox.Depth = 81 }, []string{"outbox outbox_nearly_full"}},
	{"outbox: full", func(r *rig) { r.outbox.Depth = 100 }, []string{"outbox outbox_full"}},
	{"outbox: without a bound", func(r *rig) { r.outbox.Depth, r.outbox.Max = 1e6, 0 }, nil},
	{"outbox: a relay fails", func(r *rig) {
		r.outbox.Relays[0].LastError = "delivery failed at rcpt with reply 550 <victim@example.net>"
	}, []string{"outbox relay_failing"}},
	{"outbox: a relay is left alone", func(r *rig) { r.outbox.Relays[0].Stopped = true }, []string{"outbox relay_stopped"}},

	{"templates: broken", func(r *rig) {
		r.templates = []TemplateProblem{{"de/register.txt", "the link is missing", true}, {"fr/register.txt", "very long lines", false}}
	}, []string{"templates template_broken", "templates template_doubtful"}},
	{"config: of a laptop", func(r *rig) {
		r.change = func(o *Options) { o.Config = &Config{NoMailer: true, NoChecks: true} }
	}, []string{"config mail_not_sent", "config checks_off"}},
	{"admin: on a port", adminAt(AdminEndpoint{Network: "tcp", Address: "localhost:2019"}), []string{"admin admin_on_port"}},
	{"admin: on every interface", adminAt(AdminEndpoint{Network: "tcp4", Address: ":2019"}), []string{"admin admin_on_port"}},
	{"admin: on a port, origin enforced", adminAt(AdminEndpoint{Network: "tcp", Address: "localhost:2019", OriginEnforced: true}), []string{"admin admin_reachable"}},
	{"admin: inherited", adminAt(AdminEndpoint{Network: "fd", Address: "3"}), []string{"admin admin_reachable"}},
	{"admin: abstract", adminAt(AdminEndpoint{Network: "unix", Address: "@caddy"}), []string{"admin admin_socket_mode"}},
	{"admin: for everybody", func(r *rig) { must(r, os.Chmod(r.socket, 0o666)) }, []string{"admin admin_socket_mode"}},
	{"admin: for a group", func(r *rig) { must(r, os.Chmod(r.socket, 0o660)) }, nil},
	{"config: no port", func(r *rig) {
		r.homeserver.TrustedIDServers = []string{"localhost"}
		r.change = func(o *Options) { o.IdentityName = "localhost" }
	}, []string{"config identity_no_port"}},
}

// adminAt lets commands be taken there.
func adminAt(a AdminEndpoint) func(*rig) {
	return func(r *rig) { r.change = func(o *Options) { o.Admin = &a } }
}

func must(r *rig, err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}
