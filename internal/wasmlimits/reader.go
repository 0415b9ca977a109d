package wasmlimits

import (
	"errors"
	"fmt"
	"math"
)

// The value types.
const (
	typeI32       = 0x7f
	typeI64       = 0x7e
	typeF32       = 0x7d
	typeF64       = 0x7c
	typeV128      = 0x7b
	typeFuncref   = 0x70
	typeExternref = 0x6f
)

// reader reads a section. After its first error it reads nothing but zeroes.
type reader struct {
	rest []byte
	// last is the count of the vector that was read last.
	last uint32
	err  error
}

var errTruncated = errors.New("the module is cut short, or a length in it is wrong")

func (r *reader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf(format, args...)
	}
	r.rest = nil
}

func (r *reader) bytes(n uint32) []byte {
	if uint64(n) > uint64(len(r.rest)) {
		if r.err == nil {
			r.err = errTruncated
		}
		r.rest = nil
		return nil
	}
	b := r.rest[:n:n]
	r.rest = r.rest[n:]
	return b
}

func (r *reader) byte() byte {
	if b := r.bytes(1); len(b) == 1 {
		return b[0]
	}
	return 0
}

// leb reads a number of LEB128, of so many bits, and drops the bits above 64.
func (r *reader) leb(bits int) uint64 {
	var n uint64
	for shift := 0; ; shift += 7 {
		b := r.byte()
		n |= uint64(b&0x7f) << shift
		if b&0x80 == 0 {
			return n
		}
		if shift+7 >= bits {
			r.fail("a number in the module is too long")
			return 0
		}
	}
}

func (r *reader) unsigned() uint32 {
	n := r.leb(32)
	if n > math.MaxUint32 {
		r.fail("a number in the module is too large")
		return 0
	}
	return uint32(n)
}

// vector reads a count, and that many items, each of which has at least so many
// bytes: so the count, by which the engine allocates, is no more than the file
// can hold. It leaves the count in r.last.
func (r *reader) vector(least int, item func()) {
	n := r.unsigned()
	if int64(n)*int64(least) > int64(len(r.rest)) {
		r.fail("the module counts %d items where it has fewer", n)
		n = 0
	}
	for range n {
		if r.err != nil {
			return
		}
		item()
	}
	r.last = n
}

// limits reads the size that a table or a memory begins with, and the size that it
// can grow to, if there is one.
func (r *reader) limits() (least, most uint32, bounded bool) {
	switch flags := r.byte(); flags {
	case 0:
		return r.unsigned(), 0, false
	case 1:
		least = r.unsigned()
		return least, r.unsigned(), true
	default:
		r.fail("a memory or table is shared, or has 64 bits; take it without")
		return 0, 0, false
	}
}

// valueType reads a type, and returns how many stack slots a value of it takes.
func (r *reader) valueType() (slots int64) {
	switch t := r.byte(); t {
	case typeI32, typeI64, typeF32, typeF64, typeFuncref, typeExternref:
		return 1
	case typeV128:
		return 2
	default:
		r.fail("the module has a value of a type that is not known (%#x)", t)
		return 0
	}
}

// referenceType reads the type of a table or of an element.
func (r *reader) referenceType() byte {
	t := r.byte()
	if t != typeFuncref && t != typeExternref {
		r.fail("a table or an element is of a type that is not known (%#x)", t)
	}
	return t
}

// constant reads an expression that an instance is set up with.
func (r *reader) constant() {
	for r.err == nil {
		switch opcode := r.byte(); opcode {
		case 0x0b: // end
			return
		case 0x23, 0xd2: // global.get, ref.func
			r.unsigned()
		case 0x41: // i32.const
			r.leb(32)
		case 0x42: // i64.const
			r.leb(64)
		case 0x43: // f32.const
			r.bytes(4)
		case 0x44: // f64.const
			r.bytes(8)
		case 0xd0: // ref.null
			r.referenceType()
		case 0xfd: // v128.const
			if r.unsigned() != 12 {
				r.fail("an instance is set up with more than constants")
			}
			r.bytes(16)
		default:
			r.fail("an instance is set up with more than constants (instruction %#x)", opcode)
		}
	}
}

func appendUnsigned(b []byte, n uint32) []byte {
	for n >= 0x80 {
		b = append(b, byte(n)|0x80)
		n >>= 7
	}
	return append(b, byte(n))
}
