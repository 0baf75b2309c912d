// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/handlers/internal/route"
	"github.com/caddy-threepid/caddy-threepid/handlers/internal/wire"
	"github.com/caddy-threepid/caddy-threepid/internal/keyring"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
	"github.com/caddy-threepid/caddy-threepid/store/storetest"
)

// pythonReader prints what Python's json makes of each line, which is base64. Of
// numbers it keeps the text.
const pythonReader = `
import base64, json, sys
number = lambda text: {"number": text}
for line in sys.stdin:
    try:
        value = json.loads(base64.b64decode(line), parse_int=number, parse_float=number, parse_constant=number)
        answer = json.dumps({"value": value}, ensure_ascii=False).encode("utf-8") # fails for half a character
    except Exception:
        answer = b"{}"
    sys.stdout.buffer.write(answer + b"\n")
    sys.stdout.buffer.flush()
`

// python is a Python that reads one body after the other.
type python struct {
	mu  sync.Mutex
	in  io.Writer
	out *bufio.Reader
}

// startPython starts it once for all tests; it ends with its standard input.
var startPython = sync.OnceValues(func() (*python, error) {
	cmd := exec.Command("python3", "-c", pythonReader)
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	return &python{in: in, out: bufio.NewReader(out)}, cmd.Start()
})

// read returns what Python makes of a body; ok is false if that is nothing.
func (p *python) read(t *testing.T, raw []byte) (value any, ok bool) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, err := fmt.Fprintln(p.in, base64.StdEncoding.EncodeToString(raw)); err != nil {
		t.Fatal(err)
	}
	line, err := p.out.ReadBytes('\n')
	if err != nil {
		t.Fatal(err)
	}
	var answer map[string]any
	if err := json.Unmarshal(line, &answer); err != nil {
		t.Fatal(err)
	}
	value, ok = answer["value"]
	return value, ok
}

// readPython is python.read, on a machine that has it: CONTRIBUTING.md asks for it.
func readPython(t *testing.T, raw []byte) (any, bool) {
	t.Helper()
	p, err := startPython()
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("start python3: %v", err)
		}
		t.Skipf("NOT PROVEN HERE: no python3: %v", err)
	}
	return p.read(t, raw)
}

// written replaces numbers by their text, as pythonReader does.
func written(v any) any {
	switch v := v.(type) {
	case json.Number:
		return map[string]any{"number": v.String()}
	case map[string]any:
		for key, one := range v {
			v[key] = written(one)
		}
	case []any:
		for i, one := range v {
			v[i] = written(one)
		}
	}
	return v
}

// ignoringCase reads as a map does whose keys have no case. Where two are the
// same, it reports so.
func ignoringCase(v any, fold func(string) string) (read any, ambiguous bool) {
	switch v := v.(type) {
	case map[string]any:
		o := map[string]any{}
		for key, one := range v {
			inner, both := ignoringCase(one, fold)
			_, twice := o[fold(key)]
			ambiguous = ambiguous || both || twice
			o[fold(key)] = inner
		}
		return o, ambiguous
	case []any:
		list := []any{}
		for _, one := range v {
			inner, both := ignoringCase(one, fold)
			ambiguous = ambiguous || both
			list = append(list, inner)
		}
		return list, ambiguous
	}
	return v, false
}

// asStruct reads one member as Dendrite does: into a field of a struct.
func asStruct(raw []byte, name string) (json.RawMessage, error) {
	into := reflect.New(structs()[name])
	err := json.Unmarshal(raw, into.Interface())
	value, _ := reflect.TypeAssert[json.RawMessage](into.Elem().Field(0))
	return value, err
}

// structs are the structs with one field, by the name of that.
var structs = sync.OnceValue(func() map[string]reflect.Type {
	all := map[string]reflect.Type{}
	for _, name := range exactNames {
		field := reflect.StructField{Name: "Field", Type: reflect.TypeFor[json.RawMessage](), Tag: reflect.StructTag(fmt.Sprintf(`json:%q`, name))}
		all[name] = reflect.StructOf([]reflect.StructField{field})
	}
	return all
})

// exactNames are all spellings of the names that matter.
var exactNames = func() (all []string) {
	for _, exact := range wire.NamesThatMatter {
		all = append(all, exact[0])
		if exact[1] != exact[0] {
			all = append(all, exact[1])
		}
	}
	slices.Sort(all)
	return all
}()

// mustBeReadAlike: of a body that is accepted, every reader makes the same.
func mustBeReadAlike(t *testing.T, raw []byte) {
	t.Helper()
	first, last := firstWins(t, raw), lastWins(t, raw)
	if !reflect.DeepEqual(first, last) {
		t.Errorf("%q is read as %v by one parser and as %v by another", raw, first, last)
	}
	for name, fold := range map[string]func(string) string{"case": strings.ToLower, "upper": strings.ToUpper, "lenient": wire.Lenient} {
		if _, ambiguous := ignoringCase(last, fold); ambiguous {
			t.Errorf("%q has two members that are one to a reader that folds (%s)", raw, name)
		}
	}
	mustBeFoundAlike(t, raw)
	if got, ok := readPython(t, raw); !ok || !reflect.DeepEqual(got, written(last)) {
		t.Errorf("%q is read as %v by Go and as %v by Python", raw, last, got)
	}
}

// mustBeFoundAlike: a reader that ignores case finds, under each name that
// matters, what stands there exactly so, in this object and in all inside it.
func mustBeFoundAlike(t *testing.T, raw []byte) {
	t.Helper()
	var list []json.RawMessage
	if json.Unmarshal(raw, &list) == nil {
		for _, one := range list {
			mustBeFoundAlike(t, one)
		}
		return
	}
	var o wire.Object
	if json.Unmarshal(raw, &o) != nil || o == nil {
		return
	}
	for _, name := range exactNames {
		want := o[name]
		for _, other := range wire.NamesThatMatter[wire.Lenient(name)] { // threepidCreds and threePidCreds differ in case only
			if o[other] != nil && strings.EqualFold(other, name) {
				want = o[other]
			}
		}
		if got, err := asStruct(raw, name); err != nil || !bytes.Equal(bytes.TrimSpace(got), bytes.TrimSpace(want)) {
			t.Errorf("%s: %q is %s to us and %s (%v) to a reader like Dendrite", raw, name, want, got, err)
		}
	}
	for _, value := range o {
		mustBeFoundAlike(t, value)
	}
}

// judging is a client that judges bodies and asks nobody.
var judging = sync.OnceValue(func() *Client {
	keys, err := keyring.New(keyring.Key{ID: 1, Secret: make([]byte, keyring.SecretSize)})
	if err != nil {
		panic(err)
	}
	clock := new(storetest.Clock)
	svc, err := verification.NewService(verification.Config{
		Store: storetest.NewMemory(clock.Now), Keys: keys, Outbox: &heldOutbox{}, Now: clock.Now,
	})
	if err != nil {
		panic(err)
	}
	return &Client{cfg: Config{IdentityName: "localhost:8443"}, svc: svc}
})

// ownRoutes are the routes whose bodies are made anew.
var ownRoutes = []route.Route{
	{Tail: route.TailRegister, Version: "r0", Kind: route.KindComplete, Purpose: verification.Register},
	{Tail: route.TailRegister, Version: ancient, Kind: route.KindComplete, Purpose: verification.Register},
	{Tail: route.TailPassword, Version: "r0", Kind: route.KindComplete, Purpose: verification.Password},
	{Tail: route.TailThreepid, Version: "r0", Kind: route.KindComplete, Purpose: verification.Add},
	{Tail: route.TailAdd, Version: "v3", Kind: route.KindAdd, Purpose: verification.Add},
	{Tail: route.TailDeactivate, Version: "r0", Kind: route.KindDeactivate, Purpose: verification.Password},
	{Tail: "delete_devices", Version: "r0", Kind: route.KindComplete, Purpose: verification.Password},
}

// forwarded is what the homeserver is sent for a body, if it is sent anything.
func forwarded(t *testing.T, at route.Route, raw []byte) (sent []byte, j *completion) {
	t.Helper()
	parse := wire.ParseObject
	if !at.Owned() {
		parse = wire.ParseEnvelope
	}
	body, err := parse(raw)
	if err != nil {
		return nil, nil
	}
	j = &completion{client: judging(), call: &wire.Call{Route: at}, body: body}
	if j.read() != nil || wire.Rebuild(at, j.body, j.auth, j.changed) != nil {
		return nil, nil
	}
	return j.body.Encode(), j
}

// mustForwardWhatWasRead: what is made of an accepted body is read alike, has no
// credentials but those that were judged, and no identity server but ours.
func mustForwardWhatWasRead(t *testing.T, raw []byte) {
	t.Helper()
	for _, at := range ownRoutes {
		sent, j := forwarded(t, at, raw)
		if sent == nil {
			continue
		}
		if at.Owned() {
			mustBeReadAlike(t, sent)
			mustBeKnown(t, at, sent)
		}
		for _, name := range []string{"bind", "bind_email", "bind_msisdn"} {
			if got, _ := asStruct(sent, name); at.Owned() && got != nil {
				t.Errorf("%s: %q became %s, with %s", at.Tail, raw, sent, name)
			}
		}
		for _, n := range j.naming() {
			for _, key := range wire.ServerSpellings {
				if server, ok, _ := n.creds.Text(key); ok && server != "" && server != "localhost:8443" && !n.used {
					t.Errorf("%s: %q became %s, which names %s", at.Tail, raw, sent, server)
				}
			}
		}
	}
}

// mustBeKnown: a body that was made anew has the members that are known, and
// credentials have no others anywhere.
func mustBeKnown(t *testing.T, at route.Route, sent []byte) {
	t.Helper()
	only := func(o wire.Object, names ...string) {
		t.Helper()
		for key := range o {
			if !slices.Contains(names, key) {
				t.Errorf("%s: the homeserver is sent %q, in %s", at.Tail, key, sent)
			}
		}
	}
	body, auth := wire.Object{}, wire.Object{}
	if err := json.Unmarshal(sent, &body); err != nil {
		t.Fatal(err)
	}
	_ = json.Unmarshal(body["auth"], &auth) // one that is no object is sent as it is
	if known := wire.KnownMembers[at.Tail]; known != nil {
		only(body, known...)
	}
	if wire.IsThreepidStage(auth) {
		only(auth, "type", "session", "threepid_creds", "threepidCreds")
	}
	for _, n := range slices.Concat(in(auth, wire.UIASpellings, false), in(auth, wire.AddSpellings, false), in(body, wire.UIASpellings, false), in(body, wire.AddSpellings, false)) {
		only(n.creds, "sid", "client_secret", "id_server")
	}
}
