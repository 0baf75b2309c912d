// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const isc = `ISC License

Copyright (c) 2026 Somebody

Permission to use, copy, modify, and/or distribute this software for any
purpose with or without fee is hereby granted, provided that the above
copyright notice and this permission notice appear in all copies.

THE SOFTWARE IS PROVIDED "AS IS" AND THE AUTHOR DISCLAIMS ALL WARRANTIES
WITH REGARD TO THIS SOFTWARE INCLUDING ALL IMPLIED WARRANTIES OF
MERCHANTABILITY AND FITNESS. IN NO EVENT SHALL THE AUTHOR BE LIABLE FOR
ANY SPECIAL, DIRECT, INDIRECT, OR CONSEQUENTIAL DAMAGES OR ANY DAMAGES
WHATSOEVER RESULTING FROM LOSS OF USE, DATA OR PROFITS, WHETHER IN AN
ACTION OF CONTRACT, NEGLIGENCE OR OTHER TORTIOUS ACTION, ARISING OUT OF
OR IN CONNECTION WITH THE USE OR PERFORMANCE OF THIS SOFTWARE.
`

// agpl is the notice by which programs refer to that licence.
const agpl = `This program is free software: you can redistribute it and/or modify
it under the terms of the GNU Affero General Public License as
published by the Free Software Foundation, either version 3 of the
License, or (at your option) any later version.

This program is distributed in the hope that it will be useful,
but WITHOUT ANY WARRANTY; without even the implied warranty of
MERCHANTABILITY or FITNESS FOR A PARTICULAR PURPOSE.  See the
GNU Affero General Public License for more details.

You should have received a copy of the GNU Affero General Public License
along with this program.  If not, see <https://www.gnu.org/licenses/>.
`

func TestModulesAreJudged(t *testing.T) {
	tests := []struct {
		name  string
		files map[string]string
		want  string // part of the only problem; none if empty
	}{
		{"good", map[string]string{"LICENSE": isc}, ""},
		{"British", map[string]string{"licence.md": isc}, ""},
		{"in a folder above the package", map[string]string{"a/COPYING": isc}, ""},
		{"none", map[string]string{"README": isc}, "has no licence"},
		{"code of that name", map[string]string{"license.go": isc}, "has no licence"},
		{"in a package that is not linked", map[string]string{"other/LICENSE": isc}, "has no licence"},
		{"unknown", map[string]string{"LICENSE": "All rights reserved.\n"}, "LICENSE is no licence that is known"},
		{"mostly something else", map[string]string{"LICENSE": isc + strings.Repeat("You must also pay us every month. ", 100)}, "LICENSE is no licence"},
		{"not on the list", map[string]string{"LICENSE": agpl}, "AGPL-3.0"},
		{"one of two", map[string]string{"LICENSE": isc, "a/b/LICENSE.txt": agpl}, "AGPL-3.0"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.MkdirAll(filepath.Join(dir, "a", "b"), 0o700); err != nil {
				t.Fatal(err)
			}
			for name, text := range tt.files {
				path := filepath.Join(dir, filepath.FromSlash(name))
				if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			m := &module{Path: "example.org/m", Version: "v1.0.0", dir: dir, packages: []string{filepath.Join(dir, "a", "b")}}
			if err := m.find(); err != nil {
				t.Fatal(err)
			}
			problems := judge([]*module{m})
			switch {
			case tt.want == "" && (len(problems) > 0 || !slices.Equal(m.Licences, []string{"ISC"})):
				t.Errorf("got %q and %q, want ISC alone", m.Licences, problems)
			case tt.want != "" && (len(problems) != 1 || !strings.Contains(problems[0], tt.want)):
				t.Errorf("got %q, want %q alone", problems, tt.want)
			}
		})
	}
}

func TestParse(t *testing.T) {
	const text = `{"Dir":"/go/fmt","Standard":true}
{"Dir":"/own","Module":{"Path":"example.org/own","Main":true,"Dir":"/own"}}
{"Dir":"/m/b/x","Module":{"Path":"example.org/b","Version":"v2.0.0","Dir":"/m/b"}}
{"Dir":"/m/a","Module":{"Path":"example.org/a","Version":"v1.0.0","Dir":"/m/a"}}
{"Dir":"/m/b/y","Module":{"Path":"example.org/b","Version":"v2.0.0","Dir":"/m/b"}}
{"Dir":"/fork","Module":{"Path":"example.org/c","Version":"v1.0.0","Dir":"/m/c","Replace":{"Path":"example.org/fork","Version":"v3.0.0","Dir":"/fork"}}}
`
	modules, err := parse(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range modules {
		got = append(got, fmt.Sprintf("%s %s %s %d", m.Path, m.Version, m.dir, len(m.packages)))
	}
	want := []string{"example.org/a v1.0.0 /m/a 1", "example.org/b v2.0.0 /m/b 2", "example.org/c example.org/fork v3.0.0 /fork 1"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if rest := without(modules, modules[1:]); len(rest) != 1 || rest[0].Path != "example.org/a" {
		t.Errorf("got %d modules without the others, want the first", len(rest))
	}
	if _, err := parse(strings.NewReader("{")); err == nil {
		t.Error("got no error for half an object")
	}
}

func TestRunRefuses(t *testing.T) {
	for want, args := range map[string][]string{
		"choose one of": {}, "choose one": {"-check", "-write"}, "not defined": {"-nonsense"}, "list packages": {"-check", "-root", t.TempDir()},
	} {
		var out strings.Builder
		if err := run(args, &out); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: got %v, want %q", args, err, want)
		}
	}
}
