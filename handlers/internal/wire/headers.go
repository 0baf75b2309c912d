// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"net/http"
	"slices"
	"strings"

	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
)

// KeepHeaders leaves in Connection only what is about the connection. A proxy
// takes away each header that is named there (RFC 9110, section 7.6.1), so a
// client could show us an access token that the homeserver then does not see.
func KeepHeaders(r *http.Request) {
	var kept []string
	odd := false
	for _, value := range r.Header.Values("Connection") {
		for option := range strings.SplitSeq(value, ",") {
			option = strings.ToLower(strings.TrimSpace(option))
			switch option {
			case "close", "keep-alive", "upgrade", "http2-settings", "te":
				kept = append(kept, option)
			case "":
			default:
				odd = true
			}
		}
	}
	if !odd {
		return
	}
	r.Header = r.Header.Clone()
	r.Header.Del("Connection")
	if len(kept) > 0 {
		r.Header.Set("Connection", strings.Join(kept, ", "))
	}
}

// LimitEncodings asks for no answer that we could not read.
func LimitEncodings(r *http.Request) {
	accepted := r.Header.Values("Accept-Encoding")
	readable := func(value string) bool { return value == "gzip" || value == "identity" }
	if len(accepted) == 0 || (len(accepted) == 1 && readable(accepted[0])) {
		return
	}
	encoding := "identity"
	if slices.ContainsFunc(accepted, acceptsGzip) {
		encoding = "gzip"
	}
	r.Header = r.Header.Clone()
	r.Header.Set("Accept-Encoding", encoding)
}

// acceptsGzip reads one Accept-Encoding (RFC 9110, section 12.5.3).
func acceptsGzip(value string) bool {
	for coding := range strings.SplitSeq(value, ",") {
		name, weight, _ := strings.Cut(coding, ";")
		if strings.EqualFold(strings.TrimSpace(name), "gzip") {
			weight = strings.ReplaceAll(strings.ToLower(weight), " ", "")
			return strings.Trim(strings.TrimPrefix(weight, "q="), "0.") != "" || weight == ""
		}
	}
	return false
}

// AccessToken finds the client's token (CS API, "Using access tokens"). Two of
// them are refused: the homeserver might read the other one.
func AccessToken(r *http.Request) (threepid.AccessToken, error) {
	missing := &MatrixError{Status: http.StatusUnauthorized, Errcode: CodeMissingToken, Message: "Missing access token"}
	headers, query := r.Header.Values("Authorization"), r.URL.Query()["access_token"]
	switch {
	case len(headers)+len(query) == 0:
		return "", missing
	case len(headers)+len(query) > 1:
		missing.Message = "More than one access token"
		return "", missing
	case len(query) == 1:
		return threepid.AccessToken(query[0]), nil
	}
	token, ok := strings.CutPrefix(headers[0], "Bearer ")
	if !ok || token == "" {
		missing.Message = "Invalid Authorization header"
		return "", missing
	}
	return threepid.AccessToken(token), nil
}

// HasToken reports whether there is anything that may be an access token.
func HasToken(r *http.Request) bool {
	return len(r.Header.Values("Authorization")) > 0 || r.URL.Query().Has("access_token")
}
