// Package hidden is how a value that holds a secret is shown: by the name of its
// type, whoever prints, logs or encodes it.
//
// A type has three methods of this package's, on the value, so that its pointer has
// them, too: Format, for package fmt and all that prints with it; MarshalText, for
// encoding/json, encoding/xml and log/slog; GobEncode, for encoding/gob. Package cbor,
// which the messages are for, asks for none of them.
//
// Package fmt calls no method of what is in an unexported field, nor of an operand
// that a verb such as %p does not fit. What must not be shown even then is in a Value.
package hidden

import (
	"errors"
	"fmt"
	"reflect"
)

// Format implements fmt.Formatter for v: the same for every verb.
func Format[T any](f fmt.State, v T) { _, _ = f.Write(text[T]()) }

// Text implements encoding.TextMarshaler for v.
func Text[T any](v T) ([]byte, error) { return text[T](), nil }

// Gob implements gob.GobEncoder for v. It fails: what is encoded so is meant to be
// read again.
func Gob[T any](v T) ([]byte, error) {
	return nil, errors.New(string(text[T]()) + " is not encoded by encoding/gob")
}

func text[T any]() []byte { return []byte(reflect.TypeFor[T]().String() + "(secret hidden)") }

// Value keeps a T where package fmt does not find it: of a function it prints the
// address with every verb, whereas with some it follows a pointer, once.
type Value[T any] struct{ get func() T }

// Of returns the value that keeps v.
func Of[T any](v T) Value[T] { return Value[T]{func() T { return v }} }

// Get returns what is kept: nothing, if that is none.
func (v Value[T]) Get() (kept T) {
	if v.get != nil {
		kept = v.get()
	}
	return kept
}
