// SPDX-License-Identifier: Apache-2.0

package jssdk

import (
	"errors"
	"fmt"
)

var (
	// ErrEnded is the outcome of a call to a process that is no more.
	ErrEnded = errors.New("the SDK's process has ended")
	// ErrUnknownMethod is the outcome of a call that this SDK does not have.
	ErrUnknownMethod = errors.New("unknown method")
	// ErrUnknownHandle is the outcome of a call on something the process never
	// made: a fault of this package or of its user.
	ErrUnknownHandle = errors.New("unknown client or flow")
)

// SDKError is what a promise of the SDK was rejected with.
type SDKError struct {
	// Name is JavaScript's name for it: the errcode for an answer that is a
	// Matrix error, ConnectionError where there was no answer.
	Name string
	// HTTPStatus is the answer's status, or 0 without one.
	HTTPStatus int
	// Errcode is the Matrix errcode, or "".
	Errcode string
	// Message is the SDK's own. It may quote the address that was called.
	Message string
	// Data is the body of the answer, where the SDK took it for a Matrix error.
	Data map[string]any
}

func (e *SDKError) Error() string {
	if e.HTTPStatus == 0 {
		return fmt.Sprintf("%s: %s", e.Name, e.Message)
	}
	return fmt.Sprintf("%s (%d): %s", e.Name, e.HTTPStatus, e.Message)
}

// Text returns a member of Data that is a string, or "".
func (e *SDKError) Text(key string) string {
	s, _ := e.Data[key].(string)
	return s
}

// wireError is an error as the driver writes it.
type wireError struct {
	Name       string `json:"name"`
	HTTPStatus int    `json:"httpStatus"`
	Errcode    string `json:"errcode"`
	Message    string `json:"message"`
	Data       any    `json:"data"`
}

// decode tells the driver's own errors from the SDK's.
func (w *wireError) decode() error {
	switch w.Name {
	case "UnknownMethod":
		return fmt.Errorf("%w: %s", ErrUnknownMethod, w.Message)
	case "UnknownHandle":
		return fmt.Errorf("%w: %s", ErrUnknownHandle, w.Message)
	}
	return w.sdk()
}

func (w *wireError) sdk() *SDKError {
	body, _ := w.Data.(map[string]any)
	return &SDKError{Name: w.Name, HTTPStatus: w.HTTPStatus, Errcode: w.Errcode, Message: w.Message, Data: body}
}
