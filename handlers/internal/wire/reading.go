// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"bytes"
	"encoding/json"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"
)

// scope says how much of a body has to be read alike by everybody.
type scope int

const (
	// exactKeys refuses two keys that are the same: for the answers of other
	// servers, in which nothing of ours is at stake.
	exactKeys scope = iota
	// authOnly is for bodies of paths that are not ours: what is beside "auth"
	// belongs to others.
	authOnly
	// everyKey is for bodies of paths that are ours.
	everyKey
)

// ParseObject decodes the body of a request that we act on. It is refused if
// anybody could read it in another way than we do: a homeserver in Go matches
// keys without their case and takes ſ for s, one parser keeps the first of two
// members and another one the last, and Python accepts what is no JSON. A check
// that reads one thing while the homeserver reads the other is no check.
func ParseObject(raw []byte) (Object, error) { return parse(raw, everyKey) }

// ParseEnvelope decodes the body of a request to a path that is not ours, of
// which "auth" concerns us: that key, and everything inside its value, is held
// to what parseObject demands, and so is the uniqueness of the keys beside it.
//
// The error is errNotObject if nobody can see an object in the body, which may
// then be passed on; with any other error it must not be.
func ParseEnvelope(raw []byte) (Object, error) { return parse(raw, authOnly) }

// ParseAnswer decodes an object that another server has answered with.
func ParseAnswer(raw []byte) (Object, error) { return parse(raw, exactKeys) }

func parse(raw []byte, sc scope) (Object, error) {
	if !utf8.Valid(raw) || !json.Valid(raw) {
		if sc == authOnly && !ResemblesObject(raw) {
			return nil, ErrNotObject
		}
		return nil, errNotJSON
	}
	var o Object
	if json.Unmarshal(raw, &o) != nil || o == nil { // an array, say, or null
		return nil, ErrNotObject
	}
	if sc != exactKeys && halfCharacter(raw) {
		return nil, errSurrogate
	}
	w := walk{dec: json.NewDecoder(bytes.NewReader(raw)), scope: sc}
	w.dec.UseNumber()
	if err := w.all(); err != nil {
		return nil, err
	}
	return o, nil
}

// ResemblesObject reports whether a lenient reader could find an object in what
// is no JSON: Python's json takes UTF-16 and UTF-32, simplejson takes a byte
// order mark, and both take NaN.
func ResemblesObject(raw []byte) bool {
	raw = WithoutBlanks(raw)
	return len(raw) > 0 && raw[0] == '{'
}

// WithoutBlanks takes off what a lenient reader passes over before an object.
func WithoutBlanks(raw []byte) []byte {
	for _, mark := range []string{"\xef\xbb\xbf", "\xff\xfe", "\xfe\xff"} {
		raw = bytes.TrimPrefix(raw, []byte(mark))
	}
	return bytes.TrimLeft(raw, " \t\r\n\v\f\x00\xfe\xff")
}

// halfCharacter finds an escape of one half of a surrogate pair in valid JSON.
// Go reads it as U+FFFD, Python as what it is, and so two keys, or two values,
// may be the same to one of them.
func halfCharacter(raw []byte) bool {
	for {
		i := bytes.IndexByte(raw, '\\')
		if i < 0 {
			return false
		}
		raw = raw[i:]
		unit, ok := utf16Unit(raw)
		switch {
		case !ok:
			raw = raw[2:]
		case unit < 0xd800 || unit >= 0xe000:
			raw = raw[6:]
		case unit >= 0xdc00:
			return true
		default:
			if low, _ := utf16Unit(raw[6:]); low < 0xdc00 || low >= 0xe000 {
				return true
			}
			raw = raw[12:]
		}
	}
}

// utf16Unit reads an escape like \u00e9 at the beginning of what is left of valid JSON.
func utf16Unit(raw []byte) (unit uint64, ok bool) {
	if !bytes.HasPrefix(raw, []byte(`\u`)) {
		return 0, false
	}
	unit, _ = strconv.ParseUint(string(raw[2:6]), 16, 16)
	return unit, true
}

// walk goes through valid JSON, token by token.
type walk struct {
	dec   *json.Decoder
	scope scope
	stack []level
}

// level is an object or an array that has begun.
type level struct {
	keys  map[string]bool // as the most lenient reader spells them; nil in an array
	value bool            // the next token of an object is a value
	auth  bool            // this is the value of the "auth" of the body, or in it
	next  bool            // the next value is that
}

func (w *walk) all() error {
	for {
		tok, err := w.dec.Token()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return errNotJSON
		}
		if err := w.token(tok); err != nil {
			return err
		}
	}
}

func (w *walk) token(tok json.Token) error {
	delim, isDelim := tok.(json.Delim)
	if delim == '}' || delim == ']' {
		w.stack = w.stack[:len(w.stack)-1]
		return nil
	}
	next := level{}
	if len(w.stack) > 0 {
		top := &w.stack[len(w.stack)-1]
		if top.keys != nil && !top.value {
			return w.key(top, tok.(string))
		}
		top.value = false
		next.auth = top.auth || top.next
	}
	if number, ok := tok.(json.Number); ok && w.scope != exactKeys {
		if _, err := number.Float64(); err != nil {
			return errNumber // infinite to Python, an error to Go
		}
	}
	if !isDelim {
		return nil
	}
	if len(w.stack) == maxDepth {
		return errTooDeep
	}
	if delim == '{' {
		next.keys = map[string]bool{}
	}
	w.stack = append(w.stack, next)
	return nil
}

// key judges a key. They are compared as decoded: "\u0061uth" is "auth".
func (w *walk) key(in *level, key string) error {
	in.value = true
	ours := w.scope == everyKey || in.auth
	body := len(w.stack) == 1
	in.next = body && key == "auth"
	read := key
	switch {
	case w.scope == exactKeys:
	case !ours && !body:
		return nil // others will judge it
	default:
		read = Lenient(key)
		if (ours && !spelled(key, read)) || (read == "auth" && key != read) {
			return errSpelling
		}
	}
	if in.keys[read] {
		return errDuplicate
	}
	in.keys[read] = true
	return nil
}

// spelled reports whether a key means nothing to anybody, or is written exactly
// as one that does.
func spelled(key, read string) bool {
	exact, matters := NamesThatMatter[read]
	return !matters || key == exact[0] || key == exact[1]
}

// NamesThatMatter are the keys by which we, or a homeserver, find out who wants
// what: by their lenient reading, in the one or two spellings that they have.
var NamesThatMatter = func() map[string][2]string {
	names := map[string][2]string{}
	for name := range strings.FieldsSeq(`
		auth session type response user user_id username identifier password new_password new_password_hash logout_devices
		threepid_creds threepidCreds three_pid_creds threePidCreds threepids sid client_secret clientSecret
		id_server idServer id_access_token idAccessToken bind bind_email bind_msisdn bindEmail bindMsisdn
		medium address validated_at country phone phone_number phoneNumber number email msisdn send_attempt sendAttempt
		next_link nextLink submit_url token access_token refresh_token login_token txn_id nonce mac admin kind
		erase inhibit_login inhibitLogin device_id deviceId devices initial_device_display_name initialDeviceDisplayName
		guest_access_token master_key self_signing_key user_signing_key public_key mxid`) {
		read := Lenient(name)
		exact := names[read]
		if exact[0] == "" {
			exact[0] = name
		}
		exact[1] = name
		names[read] = exact
	}
	return names
}()
