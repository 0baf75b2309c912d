// SPDX-License-Identifier: Apache-2.0

package kannel

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
)

// The commands of SMPP 3.4, 5.1.2.1, that a line needs.
const (
	submitSM        = 0x00000004
	deliverSM       = 0x00000005
	unbind          = 0x00000006
	bindTransceiver = 0x00000009
	enquireLink     = 0x00000015
	response        = 0x80000000
)

// carrier is the other end of an SMPP line, as far as a configuration can be
// wrong about it: it tells the log-in, takes messages, and reports on them.
type carrier struct {
	t         *testing.T
	listener  net.Listener
	binds     chan [3]string // system_id, password, system_type
	submitted chan submitted
	writing   sync.Mutex
	wg        sync.WaitGroup
}

type submitted struct {
	sourceTON, destTON byte
	source, dest       string
	validity           string
	coding             byte
	text               []byte
}

func newCarrier(t *testing.T) *carrier {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &carrier{t: t, listener: l, binds: make(chan [3]string, 10), submitted: make(chan submitted, 100)}
	c.wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			c.wg.Go(func() { c.serve(conn) })
		}
	})
	t.Cleanup(func() { // Kannel has gone by then
		_ = l.Close()
		c.wg.Wait()
	})
	return c
}

func (c *carrier) port() int {
	addr, ok := c.listener.Addr().(*net.TCPAddr)
	if !ok {
		c.t.Fatal("no TCP")
	}
	return addr.Port
}

func (c *carrier) serve(conn net.Conn) {
	defer conn.Close()
	for n := 1; ; {
		var header [4]uint32 // length, command, status, sequence
		if err := binary.Read(conn, binary.BigEndian, &header); err != nil || header[0] < 16 || header[0] > 1<<16 {
			return
		}
		body := make([]byte, header[0]-16)
		if _, err := io.ReadFull(conn, body); err != nil {
			return
		}
		switch header[1] {
		case bindTransceiver:
			r := bytes.NewBuffer(body)
			c.binds <- [3]string{text(r), text(r), text(r)}
			c.write(conn, response|bindTransceiver, header[3], []byte("carrier\x00"))
		case submitSM:
			m := readSubmit(body)
			id := fmt.Sprintf("%08x", 0xabc0+n)
			n++
			c.write(conn, response|submitSM, header[3], []byte(id+"\x00"))
			c.write(conn, deliverSM, uint32(n), receipt(m, id))
			c.submitted <- m
		case enquireLink, unbind:
			c.write(conn, response|header[1], header[3], nil)
		}
	}
}

func (c *carrier) write(conn net.Conn, command, sequence uint32, body []byte) {
	c.writing.Lock()
	defer c.writing.Unlock()
	var pdu bytes.Buffer
	_ = binary.Write(&pdu, binary.BigEndian, [4]uint32{uint32(16 + len(body)), command, 0, sequence})
	pdu.Write(body)
	_, _ = conn.Write(pdu.Bytes()) // Kannel may be gone: the test sees that
}

// text reads a C-octet string; octet reads a number.
func text(r *bytes.Buffer) string {
	s, _ := r.ReadString(0)
	return string(bytes.TrimSuffix([]byte(s), []byte{0}))
}

func octet(r *bytes.Buffer) byte {
	b, _ := r.ReadByte()
	return b
}

// readSubmit reads SMPP 3.4, 4.4.1.
func readSubmit(body []byte) (m submitted) {
	r := bytes.NewBuffer(body)
	_ = text(r) // service_type
	m.sourceTON, _, m.source = octet(r), octet(r), text(r)
	m.destTON, _, m.dest = octet(r), octet(r), text(r)
	r.Next(3) // esm_class, protocol_id, priority_flag
	_ = text(r)
	m.validity = text(r)
	r.Next(2) // registered_delivery, replace_if_present_flag
	m.coding = octet(r)
	r.Next(1) // sm_default_msg_id
	m.text = bytes.Clone(r.Next(int(octet(r))))
	return m
}

// receipt writes SMPP 3.4, 4.6.1 and Appendix B.
func receipt(m submitted, id string) []byte {
	note := "id:" + id + " sub:001 dlvrd:001 submit date:2611271233 done date:2611271234 stat:DELIVRD err:000 text:"
	const esmReceipt = 0x04
	body := "\x00" + "\x01\x01" + m.dest + "\x00" + "\x01\x01" + m.source + "\x00" + string([]byte{esmReceipt, 0, 0}) + "\x00\x00" + "\x00\x00\x00\x00" + string([]byte{byte(len(note))}) + note
	return []byte(body)
}
