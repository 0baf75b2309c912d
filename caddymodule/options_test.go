// SPDX-License-Identifier: Apache-2.0

package caddymodule_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-threepid/caddy-threepid/caddymodule/internal/config"
)

// blocks are the functions of the app and of its guests that have options, each with
// the block that it reads: the first words of the lines around it.
var blocks = map[string][]string{
	"caddymodule.App.readOptions": {""}, "caddymodule.App.readHomeserver": {"homeserver"}, "caddymodule.App.readBrand": {"brand"},
	"caddymodule.App.readEmailPolicy": {"email_policy"}, "caddymodule.App.readLimits": {"limits"}, "caddymodule.App.readFeedback": {"feedback"}, "caddymodule.App.readSMS": {"sms"},
	"smtpmailer.Mailer.UnmarshalCaddyfile": {"mailer smtp"}, "smtpmailer.Relay.options": {"mailer smtp", "mailer smtp/relay"},
	"filemailer.Mailer.UnmarshalCaddyfile": {"mailer file"}, "badger.Store.UnmarshalCaddyfile": {"store badger"},
	"filesms.Gateway.UnmarshalCaddyfile": {"sms/sender file"}, "httpsms.Gateway.UnmarshalCaddyfile": {"sms/sender http"},
	"httpsms.Match.read":                             {"sms/sender http/success", "sms/sender http/refusal"},
	"httpsms.Gateway.readReceipts":                   {"sms/sender http/receipts"},
	"caddymodule.IdentityHandler.UnmarshalCaddyfile": {"threepid_identity"},
}

// declared are all options in the code: the keys of every literal, and every
// index, of the type config.Options.
func declared(t *testing.T) map[string]bool {
	files, err := filepath.Glob("*.go")
	guests, err2 := filepath.Glob("guests/*/*.go")
	must(t, err, err2)
	found, seen := map[string]bool{}, map[string]bool{}
	for _, file := range slices.Concat(files, guests) {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range parsed.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv != nil {
				for _, option := range optionsOf(f) {
					name := parsed.Name.Name + "." + receiver(f) + "." + f.Name.Name
					seen[name] = true
					if blocks[name] == nil {
						t.Fatalf("%s in %s has options; say in blocks where they stand", name, file)
					}
					for _, block := range blocks[name] {
						found[strings.TrimPrefix(block+"/"+option, "/")] = true
					}
				}
			}
		}
	}
	for name := range blocks {
		if !seen[name] {
			t.Errorf("%s has no options any more", name)
		}
	}
	return found
}

func receiver(f *ast.FuncDecl) string {
	t := f.Recv.List[0].Type
	if star, ok := t.(*ast.StarExpr); ok {
		t = star.X
	}
	if name, ok := t.(*ast.Ident); ok {
		return name.Name
	}
	return ""
}

func optionsOf(f *ast.FuncDecl) (names []string) {
	add := func(e ast.Expr) {
		if lit, ok := e.(*ast.BasicLit); ok && lit.Kind == token.STRING {
			name, _ := strconv.Unquote(lit.Value)
			names = append(names, name)
		}
	}
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CompositeLit:
			if kind, ok := n.Type.(*ast.SelectorExpr); ok && kind.Sel.Name == "Options" {
				for _, e := range n.Elts {
					add(e.(*ast.KeyValueExpr).Key)
				}
			}
		case *ast.AssignStmt:
			if index, ok := n.Lhs[0].(*ast.IndexExpr); ok {
				if of, ok := index.X.(*ast.Ident); ok && of.Name == "opts" {
					add(index.Index)
				}
			}
		}
		return true
	})
	return names
}

// standing are the options that stand in a block, at each line.
func standing(o *config.Outline, block string, found map[int][]string) {
	for _, line := range o.Block {
		found[line.Number] = append(found[line.Number], strings.TrimPrefix(block+"/"+line.Words[0], "/"))
		inside := line.Words[0]
		switch inside {
		case "mailer", "store":
			inside = strings.Join(line.Words[:min(2, len(line.Words))], " ")
		case "sender":
			inside += " " + strings.Join(line.Words[min(2, len(line.Words)):min(3, len(line.Words))], "")
		}
		standing(line, strings.TrimPrefix(block+"/"+inside, "/"), found)
	}
}

// optionsAt looks at the Caddyfile of an entry.
func (f *fault) optionsAt(t *testing.T) map[int][]string {
	tokens, err := caddyfile.Tokenize([]byte(f.config("/d")), "Caddyfile")
	if err != nil {
		t.Fatal(err)
	}
	d := caddyfile.NewDispenser(tokens)
	found := map[int][]string{}
	for d.Next() {
		if d.Val() == "threepid" || d.Val() == "threepid_identity" {
			block := ""
			if d.Val() == "threepid_identity" {
				block = d.Val()
			}
			for nesting := d.Nesting(); d.NextBlock(nesting); {
				standing(&config.Outline{Block: []*config.Outline{config.ReadOutline(d)}}, block, found)
			}
		}
	}
	return found
}

// alike are options that one piece of code reads for several blocks; it is
// enough to try them in one.
func alike(option string) bool {
	return strings.HasPrefix(option, "mailer smtp/relay/") || strings.HasPrefix(option, "sms/sender http/refusal/")
}

// freeText are options that nothing is wrong with as long as they have a value.
var freeText = []string{"sms/sender http/receipts/secret"}

// TestEveryOptionHasFaults: a new option needs an entry that is right, and one for
// whatever its value can be wrong in, in the tables.
func TestEveryOptionHasFaults(t *testing.T) {
	right, wrong := map[string]bool{}, map[string]bool{}
	for _, f := range readFaults(t) {
		for number, options := range f.optionsAt(t) {
			for _, option := range options {
				right[option] = right[option] || f.good()
				wrong[option] = wrong[option] || strings.Contains(f.want, ", at Caddyfile:"+strconv.Itoa(number)+"\n")
			}
		}
	}
	for _, option := range slices.Sorted(maps.Keys(declared(t))) {
		if !right[option] && !alike(option) {
			t.Errorf("%s: no entry in testdata/faults has a value of it that is right", option)
		}
		if !wrong[option] && !alike(option) && !slices.Contains(freeText, option) {
			t.Errorf("%s: no entry in testdata/faults has a value of it that is wrong", option)
		}
	}
}
