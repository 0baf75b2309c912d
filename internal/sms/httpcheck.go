// SPDX-License-Identifier: Apache-2.0

package sms

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/textproto"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// header is one header of a request.
type header struct {
	name  string // canonical
	value template
}

// described is an [HTTPConfig] that was checked and taken apart.
type described struct {
	method        string
	url           *urlTemplate
	headers       []header
	authorization string
	contentType   string
	query         []parameter   // of a query body
	form          []parameter   // of a form
	document      *jsonTemplate // of a JSON body
	text          template      // of a text body
}

// describe checks the part of a configuration that makes requests.
func describe(cfg HTTPConfig) (d *described, err error) {
	d = &described{}
	if d.url, err = parseURL(cfg.URL); err != nil {
		return nil, fmt.Errorf("url: %w", err)
	}
	if err := d.describeBody(cfg.Body); err != nil {
		return nil, fmt.Errorf("%s: %w", cmp.Or(cfg.Body.Type, BodyForm), err)
	}
	if err := d.describeMethod(cfg.Method); err != nil {
		return nil, err
	}
	if err := d.describeHeaders(cfg); err != nil {
		return nil, err
	}
	return d, nil
}

func (d *described) describeMethod(method string) error {
	hasBody := d.form != nil || d.document != nil || d.text != nil
	preset := http.MethodGet
	if hasBody {
		preset = http.MethodPost
	}
	switch d.method = strings.ToUpper(cmp.Or(method, preset)); {
	case !slices.Contains([]string{http.MethodGet, http.MethodPost, http.MethodPut}, d.method):
		return errors.New("method: must be GET, POST or PUT")
	case hasBody && d.method == http.MethodGet:
		return errors.New("method: a GET request has no body; write the fields as query")
	}
	return nil
}

func (d *described) describeBody(b Body) (err error) {
	kind := b.Type
	if kind == "" && len(b.Fields) > 0 {
		kind = BodyForm
	}
	if len(b.Fields) > 0 && b.Template != "" {
		return errors.New("it has fields and a template; use one of them")
	}
	switch kind {
	case "", BodyNone:
		if len(b.Fields) > 0 || b.Template != "" {
			return errors.New("it has content, and a type that has none")
		}
	case BodyQuery:
		d.query, err = b.parameters(kind, url.QueryEscape)
	case BodyForm:
		d.contentType = "application/x-www-form-urlencoded"
		d.form, err = b.parameters(kind, url.QueryEscape)
	case BodyJSON:
		d.contentType = "application/json"
		d.document, err = b.json()
	case BodyText:
		d.contentType = "text/plain; charset=utf-8"
		if d.text, err = parseTemplate(b.Template); err == nil && (len(d.text) != 1 || d.text[0].name == "") {
			// Beside other text, a message could pass for some of it.
			err = errors.New("a text body is one placeholder, and nothing beside it")
		}
	default:
		err = fmt.Errorf("its type must be one of %s", strings.Join([]string{BodyNone, BodyQuery, BodyForm, BodyJSON, BodyText}, ", "))
	}
	return err
}

// template reads the value of a field.
func (f Field) template() (template, error) {
	if f.Name == "" || strings.ContainsAny(f.Name, "{}") {
		return nil, errors.New("a field has no name, or is named by a placeholder")
	}
	if f.Literal {
		return template{{literal: f.Value}}, nil
	}
	t, err := parseTemplate(f.Value)
	if err != nil {
		return nil, fmt.Errorf("field %q: %w", f.Name, err)
	}
	return t, nil
}

func (b Body) parameters(kind string, escape func(string) string) ([]parameter, error) {
	if len(b.Fields) == 0 || b.Template != "" {
		return nil, fmt.Errorf("a %s is made of fields", kind)
	}
	out := make([]parameter, 0, len(b.Fields))
	for _, f := range b.Fields {
		t, err := f.template()
		if err != nil {
			return nil, err
		}
		out = append(out, parameter{name: escape(f.Name), value: t})
	}
	return out, nil
}

func (b Body) json() (*jsonTemplate, error) {
	if len(b.Fields) == 0 {
		return parseJSONTemplate(b.Template)
	}
	object := make(map[string]any, len(b.Fields))
	for _, f := range b.Fields {
		t, err := f.template()
		if err != nil {
			return nil, err
		}
		if _, twice := object[f.Name]; twice {
			return nil, fmt.Errorf("field %q is there twice", f.Name)
		}
		object[f.Name] = t
	}
	return &jsonTemplate{root: object}, nil
}

// own are headers that belong to the connection, or to net/http.
var own = []string{
	"Connection", "Content-Length", "Expect", "Host", "Keep-Alive", "Proxy-Authorization", "Proxy-Connection", "Te", "Trailer",
	"Transfer-Encoding", "Upgrade",
}

func (d *described) describeHeaders(cfg HTTPConfig) error {
	var err error
	if d.authorization, err = cfg.authorizationHeader(); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(cfg.Headers)) {
		list := cfg.Headers[name]
		canonical := textproto.CanonicalMIMEHeaderKey(name)
		switch {
		case !httpguts.ValidHeaderFieldName(name):
			return fmt.Errorf("header %q: is not the name of a header", name)
		case slices.Contains(own, canonical):
			return fmt.Errorf("header %s: is not for the configuration to set", name)
		case canonical == "Authorization" && d.authorization != "":
			return fmt.Errorf("header %s: there are credentials already; leave one of them out", name)
		case slices.ContainsFunc(d.headers, func(h header) bool { return h.name == canonical }):
			return fmt.Errorf("header %s: is there twice, in two spellings", name)
		}
		for _, value := range list {
			t, err := parseTemplate(value)
			if err != nil {
				return fmt.Errorf("header %s: %w", name, err)
			}
			if hasControls(value) {
				return fmt.Errorf("header %s: has control characters", name)
			}
			d.headers = append(d.headers, header{name: canonical, value: t})
		}
	}
	return nil
}

// credentialOption names what credentials are from.
func credentialOption(c HTTPConfig) string {
	if c.Bearer != "" {
		return "bearer"
	}
	return "basic_auth"
}

// authorizationHeader is the header of the credentials, or nothing.
func (c HTTPConfig) authorizationHeader() (string, error) {
	var all []string
	if c.BasicUser != "" || c.BasicPassword != "" {
		if strings.Contains(c.BasicUser, ":") {
			return "", errors.New("basic_auth: the user name holds a colon") // RFC 7617 §2
		}
		r := http.Request{Header: http.Header{}}
		r.SetBasicAuth(c.BasicUser, c.BasicPassword)
		all = append(all, r.Header.Get("Authorization"))
	}
	if c.Bearer != "" {
		all = append(all, "Bearer "+c.Bearer)
	}
	if c.Authorization != "" {
		all = append(all, c.Authorization)
	}
	switch {
	case len(all) == 0:
		return "", nil
	case len(all) > 1:
		return "", errors.New("bearer: excludes basic_auth; leave one of them out")
	case hasControls(all[0]):
		return "", fmt.Errorf("%s: has characters that a header cannot carry", credentialOption(c))
	}
	return all[0], nil
}
