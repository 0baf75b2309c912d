// SPDX-License-Identifier: Apache-2.0

package element

import (
	"encoding/json"
	"net/http"
)

// Sees is what a person sees after an answer.
type Sees string

// All that there is.
const (
	GoesOn        Sees = "the next step"
	FieldAgain    Sees = "the field for the code, and that the code was wrong"
	OpenTheLink   Sees = "that the link in the mail has to be opened first"
	PasswordAsked Sees = "a question for the password"
	ErrorShown    Sees = "the text of our error, in a dialogue; what was begun goes on"
	ThrownOut     Sees = "the text of our error, above an empty form: it begins anew"
)

// answer is the part of one that is read.
type answer struct {
	Success bool            `json:"success"`
	Errcode string          `json:"errcode"`
	Error   string          `json:"error"`
	Flows   json.RawMessage `json:"flows"`
}

func read(body []byte) (a answer) {
	_ = json.Unmarshal(body, &a)
	return a
}

// CodeOfRegistration is what follows submit_url in a registration by phone
// (MsisdnAuthEntry): a promise that fails ends the registration.
func CodeOfRegistration(status int, body []byte) Sees {
	switch {
	case status/100 != 2:
		return ThrownOut
	case read(body).Success:
		return GoesOn
	}
	return FieldAgain
}

// CodeOfNumber is what follows submit_url for a number that is added to an account
// (AddThreepid.haveMsisdnToken and PhoneNumbers): whatever has not failed goes on to
// the password.
func CodeOfNumber(status int, body []byte) Sees {
	switch {
	case status/100 == 2:
		return GoesOn
	case read(body).Errcode == "M_THREEPID_AUTH_FAILED":
		return FieldAgain
	}
	return ErrorShown
}

// ContinueOfAddress is what follows "Continue" for an address that is added to an
// account (AddThreepid.checkEmailLinkClicked and EmailAddresses).
func ContinueOfAddress(status int, body []byte) Sees {
	a := read(body)
	switch {
	case status/100 == 2:
		return GoesOn
	case status == http.StatusUnauthorized && a.Flows != nil:
		return PasswordAsked
	case a.Errcode == "M_THREEPID_AUTH_FAILED":
		return OpenTheLink
	}
	return ErrorShown
}
