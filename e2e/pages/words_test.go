// SPDX-License-Identifier: Apache-2.0

package pages

import (
	"sync"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/handlers"
	web "github.com/caddy-threepid/caddy-threepid/handlers/pages"
	"github.com/caddy-threepid/caddy-threepid/internal/words"
)

var loaded = sync.OnceValues(func() (*words.Set, error) {
	return words.Load(words.Options{Server: "matrix.example.org"})
})

// pageOptions are the pages as they come, with the words of all languages.
func pageOptions(t *testing.T) handlers.PageOptions {
	t.Helper()
	set, err := loaded()
	must(t, err)
	return handlers.PageOptions{Words: web.FromTemplates(set), Looks: web.LooksOf(set)}
}
