// SPDX-License-Identifier: Apache-2.0

package fakehs

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/nyaruka/phonenumbers"
)

// postRegisterMSISDN is POST /register/msisdn/requestToken, postThreepidMSISDN
// and postPasswordMSISDN are the other two. Synapse answers them whether or not
// anybody can complete what they begin.
func (s *Server) postRegisterMSISDN(x *exchange) (int, any, error) {
	return s.requestMSISDNToken(x, "Phone numbers are not authorized to register on this server", false)
}

func (s *Server) postThreepidMSISDN(x *exchange) (int, any, error) {
	return s.requestMSISDNToken(x, "Account phone numbers are not authorized on this server", false)
}

func (s *Server) postPasswordMSISDN(x *exchange) (int, any, error) {
	return s.requestMSISDNToken(x, "Account phone numbers are not authorized on this server", true)
}

// requestMSISDNToken is requestToken for a phone number that must, or must not,
// be one of an account. Unlike its sibling for mail it bears unknown keys, and
// sends all of them on.
func (s *Server) requestMSISDNToken(x *exchange, denied string, owned bool) (int, any, error) {
	body, err := x.parseObject()
	if err != nil {
		return 0, nil, err
	}
	if err := requireKeys(body, "id_server", "client_secret", "country", "phone_number", "send_attempt"); err != nil {
		return 0, nil, err
	}
	digits, err := msisdn(body["country"], body["phone_number"])
	if err != nil {
		return 0, nil, err
	}
	allowed, err := s.allowedThreepid("msisdn", digits)
	if err == nil && !allowed {
		err = fail(http.StatusForbidden, "M_THREEPID_DENIED", denied)
	}
	if err != nil {
		return 0, nil, err
	}
	owner, err := s.lookupOwner("msisdn", digits)
	switch {
	case err != nil:
		return 0, nil, err
	case owner != "" && !owned:
		return 0, nil, fail(http.StatusBadRequest, "M_THREEPID_IN_USE", "Phone number is already in use")
	case owner == "" && owned:
		return 0, nil, fail(http.StatusBadRequest, "M_THREEPID_NOT_FOUND", "MSISDN not found")
	}
	answer, err := s.forwardMSISDN(x, body)
	return http.StatusOK, answer, err
}

// msisdn is a number as the homeserver keeps it. It minds neither whether anybody can
// have it nor its length, but the case of the country.
func msisdn(country, number any) (string, error) {
	typed, ok := number.(string)
	if !hashable(country) || !ok && number != nil {
		return "", errWrongType
	}
	region, _ := country.(string)
	parsed, err := phonenumbers.Parse(typed, region)
	if err != nil {
		return "", fail(http.StatusBadRequest, "M_UNKNOWN", "Unable to parse phone number")
	}
	return strings.TrimPrefix(phonenumbers.Format(parsed, phonenumbers.E164), "+"), nil
}

// forwardMSISDN has the identity server send its message.
func (s *Server) forwardMSISDN(x *exchange, body object) (any, error) {
	ok, err := s.trusts(body["id_server"])
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, fail(http.StatusBadRequest, "M_SERVER_NOT_TRUSTED",
			fmt.Sprintf("Untrusted ID server '%v'", body["id_server"]))
	}
	params := object{}
	for key, value := range body {
		if key != "id_server" {
			params[key] = value
		}
	}
	target := "https://" + body["id_server"].(string) + identityAPI + "/validate/msisdn/requestToken"
	answer, err := s.postJSON(x, target, params, nil)
	return answer, relay(err)
}
