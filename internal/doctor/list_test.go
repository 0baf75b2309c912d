// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"errors"
	"fmt"
	"io/fs"
	"time"
)

var listFaults = []broken{
	{"list: gone", func(r *rig) {
		r.listErr = fmt.Errorf("read list: %w", &fs.PathError{Op: "stat", Path: "/etc/disposable.txt", Err: fs.ErrNotExist})
	}, []string{"disposable list_missing"}},
	{"list: gone, and old", func(r *rig) { r.listAge, r.listErr = 91*24*time.Hour, fs.ErrNotExist }, []string{"disposable list_missing"}},
	{"list: broken", func(r *rig) { r.listErr = errors.New("line 17 is not a domain") }, []string{"disposable list_broken"}},
	{"list: old", func(r *rig) { r.listAge = 90*24*time.Hour + time.Minute }, []string{"disposable list_old"}},
	{"list: not old yet", func(r *rig) { r.listAge = 90*24*time.Hour - time.Minute }, nil},
	{"list: from the future", func(r *rig) { r.listAge = -time.Hour }, nil},
}
