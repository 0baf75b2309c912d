// SPDX-License-Identifier: Apache-2.0

// Package jssdk installs and drives matrix-js-sdk, the library under Element
// and many other clients of today. The end-to-end tests use it to show that
// such a client, unchanged, gets on with the module and an old homeserver.
//
// [Install] puts Node.js (from PyPI) and the SDK (from npm) into the user's
// cache directory, once per machine; [Start] runs them as a process whose
// MatrixClients are called method by method. Needed are Python 3.9 or newer
// with its venv module, and both registries on the first run. Where they are
// missing, the error is [ErrUnavailable] and tells what to do about it. A
// Node.js on PATH is not used: tests run alike everywhere, and SDKs of today
// want a newer one than most systems have.
//
// There are two versions: that of today, and one of the end of 2020, which old
// clients still run ([InstallOld]). The same driver drives both. They are pinned in
// data/requirements.txt, data/package-lock.json and data/old, with
// the digest of every file; no package's own scripts are run. The SDK's
// cryptography is installed, for npm knows no way around it, and never loaded.
//
// # What the SDK sends
//
// Read from the source of 43.0.0 and recorded from it; a test compares this
// table with what a server sees. Paths are below /_matrix/. "bearer" says that
// the client sends its access token if it has one, "none" that it never does.
// Members are strings unless a type follows; those in parentheses are sent only
// if the argument is given; "-" is no body or an empty object.
//
//	getVersions                 GET   client/versions                              bearer  -
//	isVersionSupported          GET   client/versions                              bearer  -
//	doesServerSupportUnstableFeature GET client/versions                           bearer  -
//	loginFlows                  GET   client/v3/login                              none    -
//	loginRequest                POST  client/v3/login                              bearer  as given
//	login                       POST  client/v3/login                              bearer  as given
//	loginWithPassword           POST  client/v3/login                              bearer  password type user
//	whoami                      GET   client/v3/account/whoami                     bearer  -
//	logout                      POST  client/v3/logout                             bearer  -
//	registerRequest             POST  client/v3/register                           none    as given
//	requestRegisterEmailToken   POST  client/v3/register/email/requestToken        none    client_secret email (next_link) send_attempt:number
//	requestRegisterMsisdnToken  POST  client/v3/register/msisdn/requestToken       none    client_secret country (next_link) phone_number send_attempt:number
//	requestPasswordEmailToken   POST  client/v3/account/password/email/requestToken  none  client_secret email (next_link) send_attempt:number
//	requestPasswordMsisdnToken  POST  client/v3/account/password/msisdn/requestToken none  client_secret country (next_link) phone_number send_attempt:number
//	requestAdd3pidEmailToken    POST  client/v3/account/3pid/email/requestToken    none    client_secret email (next_link) send_attempt:number
//	requestAdd3pidMsisdnToken   POST  client/v3/account/3pid/msisdn/requestToken   none    client_secret country (next_link) phone_number send_attempt:number
//	setPassword                 POST  client/v3/account/password                   bearer  auth:object (logout_devices:boolean) new_password
//	getThreePids                GET   client/v3/account/3pid                       bearer  -
//	addThreePidOnly             POST  client/v3/account/3pid/add                   bearer  as given
//	bindThreePid                POST  client/v3/account/3pid/bind                  bearer  as given
//	unbindThreePid              POST  client/v3/account/3pid/unbind                bearer  address (id_server) medium
//	deleteThreePid              POST  client/v3/account/3pid/delete                bearer  address medium
//	deactivateAccount           POST  client/v3/account/deactivate                 bearer  (auth:object) (erase:boolean)
//	getOpenIdToken              POST  client/v3/user/%40ada%3Aexample.test/openid/request_token  bearer  -
//	registerWithIdentityServer  POST  identity/v2/account/register                 none    as given
//	requestEmailToken           POST  identity/v2/validate/email/requestToken      bearer  client_secret email (next_link) send_attempt
//	getIdentityHashDetails      GET   identity/v2/hash_details                     bearer  -
//	lookupThreePid              POST  identity/v2/lookup                           bearer  addresses:array algorithm pepper
//
// What follows from it for a server:
//
//   - Everything is v3, and nothing falls back to r0. Its few paths in v1 are
//     for what came after r0.
//   - requestToken never carries an access token, id_server or id_access_token,
//     not even to add an address to an account.
//   - unbindThreePid names the identity server that the client is configured
//     with, or none; deleteThreePid and deactivateAccount never name one. The
//     server has to know where it bound.
//   - The bearer of the identity paths is the identity server's own token, and
//     send_attempt is a string there.
//   - Nothing asks /versions for m.separate_add_and_bind, m.id_access_token or
//     m.require_identity_server any more: the new calls are made regardless.
//   - InteractiveAuth polls with threepid_creds of sid and client_secret alone,
//     or with the host of the client's identity server as id_server if it is
//     configured with one; it ignores every failure of a poll but a 401's flows.
//   - AutoDiscovery wants a version from v1.1 to v1.13 in /versions and calls
//     a homeserver without one unsupported. createClient does not ask.
package jssdk
