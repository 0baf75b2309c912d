// SPDX-License-Identifier: Apache-2.0

// Package synapse installs and runs an unmodified Synapse 1.3.1, the last
// Synapse that needs an identity server to verify an address, on loopback.
// The end-to-end tests and the demo put it behind the module to show that a
// real homeserver accepts what the module does.
//
// [Install] makes a Python virtual environment in the user's cache directory,
// once per machine; [Start] runs a server from it in a directory of its own.
// Needed are Python 3.9 or newer with its venv module, and PyPI on the first
// run. Nothing is compiled. Where they are missing, the error is
// [ErrUnavailable] and tells what to do about it.
//
// # What stands between Synapse 1.3.1 and today's Python
//
// The source distribution is installed as published, its digest is checked,
// and no file of it is changed. The drift of Python since 2019 is met
// outside of it, in data/sitecustomize.py, which Python itself loads:
//
//   - inspect.getargspec is gone since Python 3.11; Synapse wraps every cached
//     method with it.
//   - The imp module is gone since Python 3.12; Synapse loads its database
//     migrations with imp.load_source.
//
// The rest is chosen by version, in data/requirements.txt and
// data/sources.txt:
//
//   - prometheus_client 0.7.1, because Synapse insists on less than 0.8.
//   - setuptools 75, the home of pkg_resources, of distutils on Python 3.12
//     and newer, and of a build that Synapse's setup.py survives.
//   - legacy-cgi on Python 3.13 and newer, which have no cgi module.
//   - Libraries new enough to need no aliases such as collections.Mapping.
//
// Not repaired, for nothing here comes near them: jinja2.Markup (mails about
// missed messages), PIL.Image.ANTIALIAS (thumbnails), cgi.escape (the pages
// for SAML and for consent).
//
// # What a server does and does not do
//
// It serves the client-server API over plain HTTP on 127.0.0.1, keeps its data
// in SQLite, is not throttled, hashes passwords cheaply, reports no statistics
// and federates with no one. The identity servers of [Options] are the only
// hosts it talks to, and those that a client names for an unbind. It is made
// for tests and demonstrations; do not let it face a network.
//
// With [Options.Federation] it answers other servers as well, for an identity
// server has to ask who a user is. These expect TLS on the port that is part of
// the server name; package sydent has a front for that.
//
// # The newest
//
// [InstallNewest] and the same [Start] run a Synapse of today, to show that the
// module is not in the way of one: a wheel with its dependencies, pinned in
// data/newest. It verifies addresses by itself, so the options about identity
// servers are refused or have no effect, and it needs Python 3.10 or newer.
//
// The roots it trusts come from [Options.CAFile] and [Options.CAFiles], each
// of which may hold several certificates. OpenSSL reads one file only, so one
// is made of all of them.
package synapse
