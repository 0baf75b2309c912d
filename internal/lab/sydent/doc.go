// SPDX-License-Identifier: Apache-2.0

// Package sydent installs and runs an unmodified Sydent, the identity server
// of the Matrix project, on loopback. The tests bind addresses there, look
// them up and unbind them.
//
// [Install] makes a Python virtual environment in the user's cache directory,
// once per machine; [Start] runs a server from it in a directory of its own.
// Needed are Python 3.9 or newer with its venv module, and PyPI on the first
// run. Where they are missing, the error is [ErrUnavailable] and tells what to
// do about it.
//
// # Names, ports and certificates
//
// Sydent speaks plain HTTP. A [Front] in this process speaks TLS for it, on the
// port that is part of its [Server.Name], "localhost:8090" for example. That
// name is what a client says in id_server, and what a homeserver signs when it
// unbinds.
//
// An account needs a homeserver that Sydent can ask who a user is. Sydent finds
// it by the server name alone, so a homeserver on loopback must be called
// "localhost:PORT" and needs a front of its own on that port:
//
//	authority, err := certs.New()
//	front, err := sydent.NewFront(authority, 0)
//	is, err := sydent.Start(ctx, env, sydent.Options{Dir: dir, CAFiles: []string{frontCA}, ...})
//	hs, err := synapse.Start(ctx, hsEnv, synapse.Options{
//		ServerName: front.Name(), Federation: true, CAFiles: []string{is.CAFile(), ...}, ...})
//	err = front.Forward(hs.URL())
//
// where the file frontCA holds authority.PEM(). Who calls whom decides who
// trusts whom: Sydent calls the homeserver's front (the OpenID token at an
// account's registration, the signing key at a signed unbind, the notice of a
// bind), and the homeserver calls Sydent (the signed unbind). Both take a list
// of PEM files and make one bundle of it, which replaces the system's roots:
// OpenSSL knows one SSL_CERT_FILE, but that file may hold any number of
// certificates. With an authority in Options.Authority, both sides can do with
// a single one.
//
// # What it does not do
//
// The package brings templates of its own, for Sydent's wheel has none. Mail
// goes out in plain text. Nothing is throttled. Sydent reaches no address
// outside of loopback: everything else is on its blacklist.
package sydent
