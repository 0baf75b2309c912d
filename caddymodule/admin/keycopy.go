// SPDX-License-Identifier: Apache-2.0

package admin

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/caddy-threepid/caddy-threepid/caddymodule"
	"github.com/caddy-threepid/caddy-threepid/internal/keyring"
)

// KeyCopy names the keys that a copy of the key file has, each by its id and its
// mark. The keys themselves stay where they are.
type KeyCopy struct {
	Keys string `json:"keys"` // "2:<mark> 1:<mark>"
	// File is where the copy is, so that the key file is not taken for one.
	File string `json:"file,omitempty"`
}

// CopyOf names the keys of a ring that was read from a file.
func CopyOf(keys *keyring.Ring, file string) KeyCopy {
	marks := keys.Marks()
	named := make([]string, 0, len(marks))
	for _, mark := range marks {
		named = append(named, fmt.Sprintf("%d:%s", mark.ID, mark.Sum))
	}
	return KeyCopy{Keys: strings.Join(named, " "), File: file}
}

// marks reads what CopyOf has written.
func (c KeyCopy) marks() ([]keyring.Mark, error) {
	var marks []keyring.Mark
	for named := range strings.FieldsSeq(c.Keys) {
		id, sum, ok := strings.Cut(named, ":")
		n, err := strconv.ParseUint(id, 10, 8)
		if err != nil || !ok {
			return nil, refused(errors.New("'keys' must name keys as in \"1:<mark>\""))
		}
		marks = append(marks, keyring.Mark{ID: byte(n), Sum: sum})
	}
	return marks, nil
}

// CheckedCopy is what a copy is worth.
type CheckedCopy struct {
	// Good: it has every key of the server.
	Good bool `json:"good"`
	// Lacks are the ids of the keys that it does not have.
	Lacks []int `json:"lacks"`
	// Same: it is the key file itself, under whatever name, and no copy.
	Same bool `json:"same,omitempty"`
}

func checkCopy(ctx context.Context, app *caddymodule.App, req KeyCopy) (any, error) {
	marks, err := req.marks()
	if err != nil {
		return nil, err
	}
	inst, release, err := serving(app)
	if err != nil {
		return nil, err
	}
	defer release()
	lacks, same, err := inst.CheckCopy(ctx, req.File, marks)
	if err != nil {
		return nil, err
	}
	return CheckedCopy{Good: !same && len(lacks) == 0, Lacks: append([]int{}, lacks...), Same: same}, nil
}
