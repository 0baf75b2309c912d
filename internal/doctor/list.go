// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"context"
	"errors"
	"io/fs"
	"strings"
	"time"
)

// listAge is when a list of disposable domains is not worth much any more.
const listAge = 90 * 24 * time.Hour

// DomainList is a list of domains in a file that somebody has to renew.
type DomainList struct {
	Path string
	// State tells when the file of the list in force was written, and what is
	// wrong with the one that is there now.
	State func() (changed time.Time, err error)
}

func (s *session) domainList(_ context.Context, r *results) {
	changed, err := s.opts.DomainList.State()
	switch age := s.opts.Now().Sub(changed); {
	case errors.Is(err, fs.ErrNotExist):
		r.report(codeListMissing, "The file is gone.")
	case err != nil:
		r.report(codeListBroken, "The file is not used: %s.", strings.TrimRight(cause(err).Error(), "."))
	case age > listAge:
		r.report(codeListOld, "The list is %d days old.", int(age.Hours()/24))
	}
}
