// SPDX-License-Identifier: Apache-2.0

package venv

import (
	"bytes"
	"os"
	"regexp"
	"strconv"
	"sync"
)

// logSink appends what it is given to a file and watches for the line that
// tells the port. That line alone names a port that the system chose.
type logSink struct {
	file      *os.File
	listening chan int // receives the port, once
	pattern   *regexp.Regexp

	mu    sync.Mutex
	line  []byte
	found bool
}

// openSink returns a sink that appends to the file at path.
func openSink(path string, pattern *regexp.Regexp) (*logSink, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	return &logSink{file: file, listening: make(chan int, 1), pattern: pattern}, nil
}

func (s *logSink) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, err := s.file.Write(b)
	if s.found {
		return n, err
	}
	s.line = append(s.line, b...)
	for !s.found {
		line, rest, whole := bytes.Cut(s.line, []byte("\n"))
		if !whole {
			break
		}
		s.line = rest
		if m := s.pattern.FindSubmatch(bytes.TrimRight(line, "\r")); m != nil {
			port, convErr := strconv.Atoi(string(m[1]))
			if s.found = convErr == nil; s.found {
				s.listening <- port
				s.line = nil
			}
		}
	}
	return n, err
}
