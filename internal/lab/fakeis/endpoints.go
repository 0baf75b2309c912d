// SPDX-License-Identifier: Apache-2.0

package fakeis

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// The paths of the v2 API that the server has.
const (
	StatusPath = "/_matrix/identity/v2"
	BindPath   = "/_matrix/identity/v2/3pid/bind"
	UnbindPath = "/_matrix/identity/v2/3pid/unbind"
	ProvenPath = "/_matrix/identity/v2/3pid/getValidated3pid"
)

// tenYears is for how long an association holds, in milliseconds.
const tenYears = int64(10*365*24) * int64(time.Hour/time.Millisecond)

// ServeHTTP records the request, lets an injected fault have it if one is due, and
// otherwise answers it as an identity server would.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler) // the request did not arrive
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	if f := s.record(r, body); f != nil {
		f(w, r, http.HandlerFunc(s.answer))
		return
	}
	s.answer(w, r)
}

func (s *Server) answer(w http.ResponseWriter, r *http.Request) {
	switch route := r.Method + " " + r.URL.Path; route {
	case "GET " + StatusPath:
		send(w, http.StatusOK, struct{}{})
	case "POST " + BindPath:
		s.serveBind(w, r)
	case "POST " + UnbindPath:
		s.serveUnbind(w, r)
	case "GET " + ProvenPath:
		s.serveProven(w, r)
	default:
		sendError(w, http.StatusNotFound, "M_UNRECOGNIZED", "Unrecognized request")
	}
}

// serveProven is GET /3pid/getValidated3pid: what a session has proved, as it
// was typed.
func (s *Server) serveProven(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if _, known := s.tokens[token]; !known {
		sendError(w, http.StatusUnauthorized, "M_UNAUTHORIZED", "Unauthorized")
		return
	}
	session, found := s.session(r.URL.Query().Get("sid"), r.URL.Query().Get("client_secret"))
	if !found || session.Expired || session.Pending {
		sendError(w, http.StatusNotFound, "M_NO_VALID_SESSION", "No valid session was found matching that sid and client secret")
		return
	}
	send(w, http.StatusOK, map[string]any{"medium": session.Medium, "address": session.Address, "validated_at": time.Now().UnixMilli()})
}

// serveBind is POST /3pid/bind: the bearer of the token may bind to their own
// Matrix ID what a session of this server proved.
func (s *Server) serveBind(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	owner, known := s.tokens[token]
	if !known {
		sendError(w, http.StatusUnauthorized, "M_UNAUTHORIZED", "Unauthorized")
		return
	}
	if s.terms {
		sendError(w, http.StatusForbidden, "M_TERMS_NOT_SIGNED", "Please accept our terms of service")
		return
	}
	body, ok := decode(w, r, "sid", "client_secret", "mxid")
	if !ok {
		return
	}
	if body.MXID != owner {
		sendError(w, http.StatusForbidden, "M_UNAUTHORIZED", "This user is prohibited from binding to the mxid")
		return
	}
	session, found := s.session(body.SID, body.ClientSecret)
	switch {
	case !found:
		sendError(w, http.StatusNotFound, "M_NO_VALID_SESSION", "No valid session was found matching that sid and client secret")
	case session.Expired:
		sendError(w, http.StatusBadRequest, "M_SESSION_EXPIRED", "This validation session has expired: call requestToken again")
	case session.Pending:
		sendError(w, http.StatusBadRequest, "M_SESSION_NOT_VALIDATED", "This validation session has not yet been completed")
	default:
		s.bindings[threepid{session.Medium, session.Address}] = body.MXID
		send(w, http.StatusOK, s.association(session, body.MXID))
	}
}

// association is the answer to a bind. Its signature is none: nobody checks it.
func (s *Server) association(session Session, mxid string) map[string]any {
	now := time.Now().UnixMilli()
	return map[string]any{
		"medium": session.Medium, "address": session.Address, "mxid": mxid,
		"ts": now, "not_before": now, "not_after": now + tenYears,
		"signatures": map[string]any{s.Name(): map[string]string{"ed25519:0": "bm90IGEgc2lnbmF0dXJl"}},
	}
}

// serveUnbind is POST /3pid/unbind by the proof of a session; requests signed by a
// homeserver are not known here. Whatever is wrong, it says only that.
func (s *Server) serveUnbind(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	body, ok := decode(w, r, "threepid", "mxid")
	if !ok {
		return
	}
	session, found := s.session(body.SID, body.ClientSecret)
	proven := found && !session.Pending && !session.Expired &&
		body.Threepid == threepid{session.Medium, session.Address}
	if !proven || s.bindings[body.Threepid] != body.MXID {
		sendError(w, http.StatusForbidden, "M_FORBIDDEN", "Not yours to unbind")
		return
	}
	delete(s.bindings, body.Threepid)
	send(w, http.StatusOK, struct{}{})
}

// body is what the POST endpoints are sent.
type body struct {
	SID          string   `json:"sid"`
	ClientSecret string   `json:"client_secret"`
	MXID         string   `json:"mxid"`
	Threepid     threepid `json:"threepid"`
}

// decode reads a body that has the required keys, or answers in its place.
func decode(w http.ResponseWriter, r *http.Request, required ...string) (b body, ok bool) {
	var keys map[string]json.RawMessage
	raw, err := io.ReadAll(r.Body)
	if err != nil || json.Unmarshal(raw, &keys) != nil || json.Unmarshal(raw, &b) != nil {
		sendError(w, http.StatusBadRequest, "M_BAD_JSON", "Malformed JSON")
		return b, false
	}
	var missing []string
	for _, key := range required {
		if _, found := keys[key]; !found {
			missing = append(missing, key)
		}
	}
	if len(missing) > 0 {
		sendError(w, http.StatusBadRequest, "M_MISSING_PARAMS", fmt.Sprintf("Missing parameters: %s", strings.Join(missing, ",")))
		return b, false
	}
	return b, true
}

// serveDecoy answers what followed a redirect as if all were well, so that a
// client which follows is found out by its success.
func (s *Server) serveDecoy(w http.ResponseWriter, _ *http.Request) {
	send(w, http.StatusOK, map[string]string{"medium": "email", "address": "decoy@example.org"})
}

func sendError(w http.ResponseWriter, status int, errcode, message string) {
	send(w, status, map[string]string{"errcode": errcode, "error": message})
}

func send(w http.ResponseWriter, status int, value any) {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err) // only strings, numbers and maps come here
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Access-Control-Allow-Origin", "*")
	w.WriteHeader(status)
	_, _ = w.Write(text)
}
