// SPDX-License-Identifier: Apache-2.0

package fakehs

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strconv"
	"strings"
)

// apiError is an error that the client sees as it is: a status and the envelope
// {"errcode","error"}, plus whatever an identity server's own error contained.
type apiError struct {
	status  int
	errcode any // a string, unless an identity server sent something else
	message any
	extra   map[string]any

	// stage marks the failure of an authentication stage, which interactive auth
	// merges into its 401 (and, for email, does not).
	stage bool
}

func (e *apiError) Error() string {
	return fmt.Sprintf("answer %d %v: %v", e.status, e.errcode, e.message)
}

// envelope is the JSON object the client gets.
func (e *apiError) envelope() map[string]any {
	out := map[string]any{}
	maps.Copy(out, e.extra)
	out["errcode"], out["error"] = e.errcode, e.message
	return out
}

// incomplete is interactive authentication that has further to go: a 401 with the
// flows in it, which is no error envelope.
type incomplete struct {
	result map[string]any
}

func (e *incomplete) Error() string { return "complete the authentication flow" }

// fail is the usual error; Synapse's default errcode is M_UNKNOWN.
func fail(status int, errcode, message string) error {
	return &apiError{status: status, errcode: errcode, message: message}
}

// stageFailure is what Synapse calls a LoginError.
func stageFailure(status int, errcode, message string) error {
	return &apiError{status: status, errcode: errcode, message: message, stage: true}
}

// unrecognized is Synapse's 400 for what it does not know; 404 came years later.
func unrecognized(message string) error {
	return fail(http.StatusBadRequest, "M_UNRECOGNIZED", message)
}

// setCORS sets the three headers that Synapse puts on every JSON answer.
func setCORS(h http.Header) {
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Access-Control-Allow-Methods", "GET, POST, PUT, DELETE, OPTIONS")
	h.Set("Access-Control-Allow-Headers", "Origin, X-Requested-With, Content-Type, Accept, Authorization")
}

// sendJSON writes a canonical JSON answer, or an indented one for curl.
func sendJSON(w http.ResponseWriter, r *http.Request, status int, value any) {
	body, err := canonicalJSON(value)
	if err == nil && strings.Contains(r.UserAgent(), "curl") {
		var pretty bytes.Buffer
		if err = json.Indent(&pretty, body, "", "    "); err == nil {
			body = append(pretty.Bytes(), '\n')
		}
	}
	if err != nil {
		sendError(w, r, fmt.Errorf("encode an answer: %w", err))
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("Cache-Control", "no-cache, no-store, must-revalidate")
	setCORS(h)
	w.WriteHeader(status)
	// A client that is gone cannot be told so.
	_, _ = w.Write(body)
}

// sendError renders any error; what is not meant for the client is the 500 that
// stands for an exception in Synapse.
func sendError(w http.ResponseWriter, r *http.Request, err error) {
	var api *apiError
	var more *incomplete
	switch {
	case errors.As(err, &api):
		sendJSON(w, r, api.status, api.envelope())
	case errors.As(err, &more):
		sendJSON(w, r, http.StatusUnauthorized, more.result)
	default:
		sendJSON(w, r, http.StatusInternalServerError, map[string]any{
			"errcode": "M_UNKNOWN", "error": "Internal server error",
		})
	}
}

// sendNotFoundPage is the answer outside the resource tree, v3 included: HTML,
// from Twisted itself, and without CORS.
func sendNotFoundPage(w http.ResponseWriter) {
	const page = "<html><head><title>404 - No Such Resource</title></head>" +
		"<body><h1>No Such Resource</h1><p>No such child resource.</p></body></html>\n"
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Length", strconv.Itoa(len(page)))
	w.WriteHeader(http.StatusNotFound)
	_, _ = w.Write([]byte(page))
}

// canonicalJSON encodes with sorted keys, no spaces and nothing escaped for HTML.
func canonicalJSON(value any) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(value); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n")), nil
}
