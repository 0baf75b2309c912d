// SPDX-License-Identifier: Apache-2.0

package fakehs

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sort"
	"strings"
)

// requestEmailToken has an identity server send its mail. It forwards four fields
// and no others, and answers whatever the server answered.
func (s *Server) requestEmailToken(x *exchange, idServer, email, secret, attempt, nextLink any) (any, error) {
	ok, err := s.trusts(idServer)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, fail(http.StatusBadRequest, "M_SERVER_NOT_TRUSTED",
			fmt.Sprintf("Untrusted ID server '%v'", idServer))
	}
	params := object{"email": email, "client_secret": secret, "send_attempt": attempt}
	if truthy(nextLink) {
		params["next_link"] = nextLink
	}
	target := "https://" + idServer.(string) + identityAPI + "/validate/email/requestToken"
	answer, err := s.postJSON(x, target, params, nil)
	return answer, relay(err)
}

// credentials are the parts of a client's 3PID creds.
type credentials struct {
	idServer, secret any
	raw              object
}

// readCreds takes creds apart in either spelling, snake case first. An array, as
// the r0 texts draw it, has no id_server in it.
func readCreds(value any) (credentials, error) {
	var c credentials
	c.raw, _ = value.(object)
	var err error
	if c.idServer, err = firstOf(value, "id_server", "idServer"); err != nil {
		return c, err
	}
	c.secret, err = firstOf(value, "client_secret", "clientSecret")
	return c, err
}

// firstOf is the value of the first of some keys that creds have, null included.
func firstOf(creds any, keys ...string) (any, error) {
	for _, key := range keys {
		if found, ok, err := member(creds, key); ok || err != nil {
			return found, err
		}
	}
	return nil, fail(http.StatusBadRequest, "M_UNKNOWN", "No "+keys[0]+" in creds")
}

// threepidFromCreds asks the identity server in the creds whether they stand for a
// validated address. A nil object means no: the server is not trusted, or its 2xx
// answer names no medium. A refusal of the server is relayed as it is.
func (s *Server) threepidFromCreds(x *exchange, value any) (object, error) {
	c, err := readCreds(value)
	if err != nil {
		return nil, err
	}
	if ok, err := s.trusts(c.idServer); err != nil || !ok {
		return nil, err
	}
	sid, ok := c.raw["sid"]
	if !ok {
		return nil, errWrongType
	}
	query := strings.Join(append(queryOf("sid", sid), queryOf("client_secret", c.secret)...), "&")
	answer, err := s.getJSON(x, "https://"+c.idServer.(string)+identityAPI+"/3pid/getValidated3pid?"+query)
	if err != nil {
		return nil, relay(err)
	}
	found, ok := answer.(object)
	if !ok {
		return nil, nil
	}
	if _, ok := found["medium"]; !ok {
		return nil, nil
	}
	return found, nil
}

// queryOf writes a value of any type into a query, as Python's urlencode does with
// doseq: null is "None", a list is a parameter for each of its items, and none if it
// is empty. An identity server that says yes to everything says it to these, too.
func queryOf(key string, value any) (params []string) {
	one := func(v any) {
		params = append(params, key+"="+url.QueryEscape(pythonText(v)))
	}
	switch v := value.(type) {
	case []any:
		for _, item := range v {
			one(item)
		}
	case object:
		for item := range v {
			one(item)
		}
	default:
		one(v)
	}
	return params
}

// pythonText is what str() makes of a value.
func pythonText(value any) string {
	switch v := value.(type) {
	case nil:
		return "None"
	case bool:
		if v {
			return "True"
		}
		return "False"
	}
	if text, ok := scalarText(value); ok {
		return text
	}
	return fmt.Sprint(value) // of interest to nobody
}

// bindThreepid publishes an address at the identity server in the creds, trusted or
// not. Anything but a 2xx with a binding in it is a 500: Synapse trips over the
// reason phrase it tries to read as JSON.
func (s *Server) bindThreepid(x *exchange, value any, userID string) error {
	c, err := readCreds(value)
	if err != nil {
		return err
	}
	sid, hasSID := c.raw["sid"]
	idServer, ok := scalarText(c.idServer)
	if !hasSID || !ok {
		return errWrongType
	}
	answer, err := s.postJSON(x, "https://"+idServer+identityAPI+"/3pid/bind",
		object{"sid": sid, "client_secret": c.secret, "mxid": userID}, nil)
	if err != nil {
		return fmt.Errorf("bind an address: %w", err)
	}
	found, _ := answer.(object)
	medium, ok := found["medium"].(string)
	address, ok2 := found["address"].(string)
	if !ok || !ok2 {
		return errWrongType
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bound[binding{userID, medium, address, idServer}] = true
	return nil
}

// bindingsOf lists the identity servers where an address was bound, sorted.
func (s *Server) bindingsOf(userID, medium, address string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []string
	for b := range s.bound {
		if b.userID == userID && b.medium == medium && b.address == address {
			out = append(out, b.idServer)
		}
	}
	sort.Strings(out)
	return out
}

// unbindThreepid withdraws an address from the identity server the client names, or
// else from those where it was bound. It is true when all of them could do it, and
// false when there is none.
func (s *Server) unbindThreepid(x *exchange, userID, medium, address string, idServer any) (bool, error) {
	var servers []string
	if truthy(idServer) {
		name, ok := scalarText(idServer)
		if !ok {
			return false, errWrongType
		}
		servers = []string{name}
	} else if servers = s.bindingsOf(userID, medium, address); servers == nil {
		return false, nil
	}
	all := true
	for _, server := range servers {
		ok, err := s.unbindAt(x, userID, medium, address, server)
		if err != nil {
			return false, err
		}
		all = all && ok
	}
	return all, nil
}

// unbindAt withdraws an address from one identity server, by a request signed like
// a federation request. 400, 404 and 501 mean that the server cannot unbind.
func (s *Server) unbindAt(x *exchange, userID, medium, address, idServer string) (bool, error) {
	const path = identityAPI + "/3pid/unbind"
	content := object{"mxid": userID, "threepid": object{"medium": medium, "address": address}}
	signature, err := s.federationAuth(path, idServer, content)
	if err != nil {
		return false, err
	}
	_, err = s.postJSON(x, "https://"+idServer+path, content, http.Header{"Authorization": {signature}})
	if refused, ok := errors.AsType[*remoteError](err); ok {
		switch refused.status {
		case http.StatusBadRequest, http.StatusNotFound, http.StatusNotImplemented:
		default:
			return false, fail(http.StatusBadGateway, "M_UNKNOWN", "Failed to contact identity server")
		}
	} else if err != nil {
		return false, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.bound, binding{userID, medium, address, idServer})
	return err == nil, nil
}

// federationAuth signs a POST as a homeserver; the destination of the request is
// no server name, so it goes by destination_is.
func (s *Server) federationAuth(path, idServer string, content object) (string, error) {
	signed, err := canonicalJSON(object{
		"method": http.MethodPost, "uri": path, "origin": s.opts.ServerName,
		"destination_is": idServer, "content": content,
	})
	if err != nil {
		return "", fmt.Errorf("encode a request to sign: %w", err)
	}
	return fmt.Sprintf(`X-Matrix origin=%s,key="ed25519:fake",sig="%s"`, s.opts.ServerName,
		base64.RawStdEncoding.EncodeToString(ed25519.Sign(s.signer, signed))), nil
}
