// SPDX-License-Identifier: Apache-2.0

package keyring_test

import (
	"bytes"
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/internal/keyring"
)

// FuzzLoad reads arbitrary key files. One that is taken works, and the error for
// any other repeats none of it: it may be half a key.
func FuzzLoad(f *testing.F) {
	key := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte("k"), keyring.SecretSize))
	for _, seed := range []string{
		`{"version":1,"keys":[{"id":1,"secret":"` + key + `"}]}`, `{"version":1,"keys":[{"id":2,"secret":"` + key + `"},{"id":1,"secret":"` + key + `"}]}`,
		`{"version":1,"keys":[{"id":1,"secret":"` + key + `"}]} x`, `{"version":2,"keys":[]}`, `{"version":1,"keys":[{"id":256,"secret":""}]}`,
		`{"version":1,"keys":[{"id":1,"secret":"` + key[:20] + `"}]}`, "", "null", "[]", `{"version":1,"keys":null,"keys":[{}]}`, key,
	} {
		f.Add([]byte(seed))
	}
	path := filepath.Join(f.TempDir(), "keys.json")
	f.Fuzz(func(t *testing.T, content []byte) {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		ring, err := keyring.Load(path)
		if err != nil {
			for word := range bytes.FieldsFuncSeq(content, func(r rune) bool { return strings.ContainsRune("{}[]\":, \n\t", r) }) {
				if len(word) >= 16 && strings.Contains(err.Error(), string(word)) {
					t.Errorf("the error %q repeats %q", err, word)
				}
			}
			return
		}
		plain, err := ring.Open("k", ring.Seal("k", []byte("text")))
		if err != nil || string(plain) != "text" {
			t.Errorf("a ring that was read opens %q, %v", plain, err)
		}
	})
}
