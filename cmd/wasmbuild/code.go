package main

import "bytes"

// trap is the body of a function that does nothing but trap.
var trap = []byte{0, opUnreachable, opEnd} // no locals

func isTrap(body []byte) bool { return bytes.Equal(body, trap) }

// codeReader returns a reader of the instructions in a function's body.
func codeReader(body []byte) *reader {
	r := &reader{b: body}
	readVector(r, 2, func() struct{} { // locals: how many, and of which type
		r.u32()
		r.byte()
		return struct{}{}
	})
	return r
}

// eachInstruction calls a function for each instruction in a function's body.
func eachInstruction(body []byte, do func(op byte, argument int64)) error {
	r := codeReader(body)
	for r.pos < len(r.b) {
		op, argument := r.instruction()
		if r.err == nil {
			do(op, argument)
		}
	}
	return r.err
}

// instruction reads one instruction with its immediate arguments, and returns its opcode ("Binary
// Format", "Instructions") and, of a call or a constant integer, the argument: which function, which
// value. It knows those of WebAssembly 2.0 that Go's compiler and assembler use, and refuses the rest.
func (r *reader) instruction() (op byte, argument int64) {
	op = r.byte()
	switch {
	case op == opBlock, op == opLoop, op == opIf:
		r.signed(33) // a type
	case op == opCall:
		argument = int64(r.u32())
	case op == opBr, op == opBrIf, op >= opLocalGet && op <= opGlobalSet,
		op == opMemorySize, op == opMemoryGrow:
		r.u32() // the index of a label, local, global or memory
	case op == opBrTable:
		readVector(r, 1, r.u32) // indices of labels
		r.u32()
	case op == opCallIndirect:
		r.u32() // the index of a type
		r.u32() // the index of a table
	case op >= opI32Load && op <= opI64Store32:
		r.u32() // alignment
		r.u32() // offset
	case op == opI32Const:
		argument = r.signed(32)
	case op == opI64Const:
		argument = r.signed(64)
	case op == opF32Const:
		r.take(4)
	case op == opF64Const:
		r.take(8)
	case op == opUnreachable, op == opNop, op == opElse, op == opEnd, op == opReturn, op == opDrop,
		op == opSelect, op >= opI32Eqz && op <= opI64Extend32S:
		// no arguments
	case op == opPrefixed:
		switch sub := r.u32(); {
		case sub <= subI64TruncSatF64U:
		case sub == subMemoryCopy:
			r.u32() // the indices of two memories
			r.u32()
		case sub == subMemoryFill:
			r.u32() // the index of a memory
		default:
			r.failf("instruction %#x %d is not supported", op, sub)
		}
	default:
		r.failf("instruction %#x is not supported", op)
	}
	return op, argument
}

// insertInLoops returns the body of a function with code inserted where each of its loops begins, which is
// where an iteration ends up that is not the last. The code must leave the stack as it is.
func insertInLoops(body, code []byte) ([]byte, error) {
	r := codeReader(body)
	var out []byte
	done := 0
	for r.pos < len(r.b) {
		if op, _ := r.instruction(); op == opLoop {
			out = append(out, body[done:r.pos]...)
			out = append(out, code...)
			done = r.pos
		}
	}
	if r.err != nil {
		return nil, r.err
	}
	if done == 0 {
		return body, nil
	}
	return append(out, body[done:]...), nil
}
