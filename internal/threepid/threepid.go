// SPDX-License-Identifier: Apache-2.0

package threepid

// Medium is the kind of a third-party identifier.
type Medium string

// The media of the Matrix specification (appendices, "3PID types").
const (
	Email  Medium = "email"
	MSISDN Medium = "msisdn"
)

// ThreePID is a third-party identifier: a medium, and an address of it in canonical
// form, which packages address and phone make.
type ThreePID struct {
	Medium  Medium
	Address string
}

// Purpose says what a session is for. It comes from the path of requestToken
// and is checked at completion: neither homeservers nor identity servers do
// that, so a session opened to register could reset a password elsewhere.
type Purpose string

// The three purposes of the six requestToken endpoints (CS API §5.6, §5.7).
const (
	Register Purpose = "register"
	Password Purpose = "password"
	Add      Purpose = "add"
	// Notified is that of a notice, which proves nothing; see package verification.
	Notified Purpose = "notice"
)
