// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// IsForm reports whether a body is a form.
func IsForm(r *http.Request) bool {
	mediaType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	// The second is a misprint in the identity service API, r0.1.0 to v1.19.
	return err == nil && (mediaType == "application/x-www-form-urlencoded" || mediaType == "application/x-form-www-urlencoded")
}

// formObject reads a form body as if it were JSON. A repeated field is
// refused like a duplicate key.
func formObject(raw []byte) (Object, error) {
	values, err := url.ParseQuery(string(raw))
	if err != nil {
		return nil, BadRequest(CodeInvalidParam, "Content is not a valid form")
	}
	o := make(Object, len(values))
	for key, list := range values {
		if len(list) != 1 {
			return nil, errDuplicate
		}
		o[key] = Encoded(list[0])
	}
	return o, nil
}

// Accepts reports whether a request asks for one of some media types by name.
func Accepts(r *http.Request, types ...string) bool {
	for _, line := range r.Header.Values("Accept") {
		for one := range strings.SplitSeq(line, ",") {
			mediaType, params, err := mime.ParseMediaType(one)
			if err != nil || strings.Trim(params["q"], "0.") == "" && params["q"] != "" {
				continue
			}
			if slices.Contains(types, mediaType) {
				return true
			}
		}
	}
	return false
}

// IsMultipart reports whether a body is a form in parts.
func IsMultipart(r *http.Request) bool {
	mediaType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return err == nil && mediaType == "multipart/form-data"
}

// AmbiguousQuery reports a query that we and the homeserver might read
// differently: Python's parsers split at semicolons, too, and find an access
// token where Go's finds none.
func AmbiguousQuery(u *url.URL) bool {
	_, err := url.ParseQuery(u.RawQuery) // which takes no semicolon
	return err != nil
}

// FormOf reads a form. A body of another kind may be read as one by the
// homeserver, in its own way.
func FormOf(r *http.Request, raw []byte) (url.Values, error) {
	mediaType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if len(raw) > 0 && (err != nil || mediaType != "application/x-www-form-urlencoded") {
		return nil, BadRequest(CodeInvalidParam, "The form must be sent as application/x-www-form-urlencoded")
	}
	form, err := url.ParseQuery(string(raw))
	if err != nil { // it takes no semicolon
		return nil, BadRequest(CodeInvalidParam, "The form cannot be read in one way only")
	}
	return form, nil
}

// SetForm replaces a form, which keeps its type.
func SetForm(r *http.Request, raw []byte) {
	kind := r.Header.Get("Content-Type")
	SetBody(r, raw)
	r.Header.Set("Content-Type", kind)
}

// Parameters reads a body that is a JSON object or a form: Dendrite sends forms, and so
// do old clients.
func Parameters(w http.ResponseWriter, r *http.Request, limit int64) (Object, error) {
	raw, err := ReadBody(w, r, limit)
	if err != nil {
		return nil, err
	}
	if IsForm(r) {
		return formObject(raw)
	}
	return ParseObject(raw)
}
