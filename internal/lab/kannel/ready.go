// SPDX-License-Identifier: Apache-2.0

package kannel

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// startLimit is how long a server may take to be ready.
const startLimit = 2 * time.Minute

// await tries until a check succeeds, or one of the programs has ended.
func (s *Server) await(ctx context.Context, check func(context.Context) error) error {
	for {
		err := check(ctx)
		if err == nil {
			return nil
		}
		for _, p := range s.processes {
			select {
			case <-p.Gone():
				return fmt.Errorf("a program of Kannel ended: %w", errors.Join(p.Err(), err))
			default:
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("kannel does not get ready: %w", err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// listening reports whether bearerbox can be connected to by the other two.
func (s *Server) listening(ctx context.Context) error {
	now, err := s.status(ctx)
	if err != nil {
		return err
	}
	if len(now.SMSCs) != 1 { // it listens once it is in the list
		return fmt.Errorf("got %d SMSCs, want one", len(now.SMSCs))
	}
	box, err := new(net.Dialer).DialContext(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(s.ports.box)))
	if err != nil {
		return err
	}
	return box.Close()
}

// ready reports whether a message would get through.
func (s *Server) ready(ctx context.Context) error {
	now, err := s.status(ctx)
	if err != nil {
		return err
	}
	if !now.online() {
		return fmt.Errorf("got status %+v", now)
	}
	// Without a password it only says no.
	status, _, err := get(ctx, s.SendSMSURL())
	if err == nil && status != http.StatusForbidden {
		err = fmt.Errorf("smsbox answers %d, want %d", status, http.StatusForbidden)
	}
	return err
}

// status is what bearerbox tells about itself.
type status struct {
	Boxes []struct {
		Type   string `xml:"type"`
		ID     string `xml:"id"`
		Status string `xml:"status"`
	} `xml:"boxes>box"`
	SMSCs []struct {
		ID     string `xml:"id"`
		Status string `xml:"status"`
	} `xml:"smscs>smsc"`
}

// online reports whether both of the others are connected.
func (s status) online() bool {
	box := false
	for _, b := range s.Boxes {
		box = box || b.Type == "smsbox" && b.ID == "smsbox" && strings.HasPrefix(b.Status, "on-line")
	}
	return box && len(s.SMSCs) == 1 && strings.HasPrefix(s.SMSCs[0].Status, "online")
}

func (s *Server) status(ctx context.Context) (status, error) {
	return readStatus(ctx, s.ports.admin, s.statusPassword)
}

func readStatus(ctx context.Context, port int, password string) (status, error) {
	var now status
	code, body, err := get(ctx, fmt.Sprintf("http://127.0.0.1:%d/status.xml?password=%s", port, url.QueryEscape(password)))
	if err != nil {
		return now, err
	}
	if code >= http.StatusBadRequest { // it is 202 when all is well
		return now, fmt.Errorf("bearerbox answers %d", code)
	}
	if err := xml.Unmarshal(body, &now); err != nil {
		return now, fmt.Errorf("read the status: %w", err)
	}
	return now, nil
}

func get(ctx context.Context, address string) (status int, body []byte, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return 0, nil, err
	}
	req.Close = true // servers come and go
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	body, err = io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	return resp.StatusCode, body, err
}
