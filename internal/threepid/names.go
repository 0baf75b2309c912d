// SPDX-License-Identifier: Apache-2.0

package threepid

import "regexp"

// SID names a validation session to its client: [0-9a-zA-Z.=_-]{1,255} (CS API, "sid").
// One that a homeserver or an identity server has made is in their own words.
type SID string

// ClientSecret is the secret that the client of a session has made:
// [0-9a-zA-Z.=_-]{1,255} (IS API, "client_secret").
type ClientSecret string

// The apostrophes in the examples of MSC2290 are a slip.
var clientSecretForm = regexp.MustCompile(`^[0-9a-zA-Z.=_-]{1,255}$`)

// Valid reports whether it is within the grammar.
func (s ClientSecret) Valid() bool { return clientSecretForm.MatchString(string(s)) }

// AliasSID is the sid that the homeserver is shown in the place of a client's, for as
// long as one request is in flight; it is within the same grammar.
type AliasSID string

// AliasSecret is the client_secret that it is shown with an AliasSID.
type AliasSecret string

// Nonce is the client_secret that the homeserver is shown when it is asked about an
// address, and calls back with; it is within the same grammar.
type Nonce string

// Token is what a message carries: the secret of a link, or a code of six digits. It is
// at most 255 characters of any kind (IS API, "submitToken").
type Token string

// PressCode is the code of six digits that a mail has beside its link.
type PressCode string

// RefusalToken is the secret of the link "I did not ask for this": 86 characters of
// unpadded base64url.
type RefusalToken string

// UIASession is the name that the homeserver, or we in its place, have for a
// User-Interactive Authentication (CS API, "session"). It is opaque, and no client sees it.
type UIASession string

// SealedUIASession is the name that the client knows the same by: unpadded base64url.
type SealedUIASession string

// AccessToken is that of a user at the homeserver. It is opaque.
type AccessToken string

// IDAccessToken is that of a user at an identity server (IS API v2,
// "Authentication"). It is opaque.
type IDAccessToken string
