// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/caddyserver/caddy/v2"
)

// jsonNames are the options of a Caddyfile that are called otherwise in JSON.
var jsonNames = map[string]string{
	"brand": "brands", "limit address": "limit_address", "limit client": "limit_client", "limit domain": "limit_domain",
	"limit user": "limit_user", "limit uia": "limit_uia", "limit messages": "limit_messages", "limit guesses": "limit_guesses",
	"notices": "no_notices", "mailer off": "no_email", "require_dot": "allow_dotless", "host": "hosts",
	"sender": "senders", "route": "routes", "originator": "originators", "refuse": "refuse_kinds", "price": "prices", "budget": "budgets",
	"relay": "relays", "basic_auth": "basic", "header": "headers", "unicode": "unicode_words", "refusal": "refusals", "option": "options",
	"per_client numbers": "numbers_per_client", "per_client countries": "countries_per_client", "per_client part": "part_per_client",
}

// withJSONName adds the name that the option of a fault has in JSON, where that
// is another.
func (e *Expander) withJSONName(fault error) error {
	if e.root == nil {
		return fault
	}
	words := strings.Fields(fault.Error())
	for i, word := range words {
		words[i] = strings.Trim(word, `:,"`)
	}
	name := strings.Join(jsonPath(e.root, words), ".")
	if name == "" || strings.HasPrefix(fault.Error(), name) {
		return fault
	}
	return fmt.Errorf("%w (in JSON: %s)", fault, name)
}

// namespaces are those of guests, by the names of the fields that they stand in.
var namespaces = map[string]string{"mailer": "threepid.mailers.", "store": "threepid.stores.", "senders": "threepid.sms."}

// guestType is the type of what stands in a field whose type is known by a name
// only, or nil.
func guestType(field, name string) reflect.Type {
	namespace, ok := namespaces[field]
	if !ok {
		return nil
	}
	info, err := caddy.GetModule(namespace + name)
	if err != nil {
		return nil
	}
	return reflect.TypeOf(info.New())
}

// jsonPath follows words through the fields of a configuration, as far as they
// lead.
func jsonPath(t reflect.Type, words []string) []string {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	if len(words) == 0 || t.Kind() != reflect.Struct {
		return nil
	}
	name, used := words[0], 1
	if len(words) > 1 && jsonNames[name+" "+words[1]] != "" {
		name, used = jsonNames[name+" "+words[1]], 2
	} else if jsonNames[name] != "" {
		name = jsonNames[name]
	}
	field, ok := jsonField(t, name)
	if !ok {
		return nil
	}
	path, rest, kind := []string{name}, words[used:], field.Type
	if kind.Kind() == reflect.Map && len(rest) > 0 { // its key
		path, rest, kind = append(path, rest[0]), rest[1:], kind.Elem()
	}
	if len(rest) > 0 {
		if guest := guestType(name, rest[0]); guest != nil {
			kind, rest = guest, rest[1:]
		}
	}
	return append(path, jsonPath(kind, rest)...)
}

func jsonField(t reflect.Type, name string) (reflect.StructField, bool) {
	for _, field := range reflect.VisibleFields(t) {
		if tag, _, _ := strings.Cut(field.Tag.Get("json"), ","); tag == name {
			return field, true
		}
	}
	return reflect.StructField{}, false
}
