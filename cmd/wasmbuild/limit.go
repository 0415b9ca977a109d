package main

import "fmt"

// stepLimit is how many steps a call of an export may take. To begin an iteration of a loop is a step;
// almost every function that Go compiles begins with a loop, so most calls are steps too. An assertion
// takes 4,000 steps, and the costliest request that fits in a message some 40 million. A call that
// needs more traps, within a few seconds, and the instance is of no more use.
//
// The limit is part of the module, so it holds in every engine, at the same step; browsers could not
// interrupt a call at all. wazero could (WithCloseOnContextDone), but then an assertion takes 1.8 times
// as long. With the count it takes 1.03 times as long; in Node, no longer at all.
const stepLimit = 1 << 28

// limitSteps makes the functions count steps, and the exports set the count to stepLimit before they do
// anything else.
func (m *module) limitSteps() error {
	left := uint64(len(m.globals)) // the index of the global that holds how many steps are left
	m.globals = append(m.globals[:left:left], global{typ: typeI32, mutable: true, init: constI32(0)})

	step := appendUnsigned([]byte{opGlobalGet}, left)
	step = append(step, opI32Const, 1, opI32Sub)
	step = appendUnsigned(append(step, opGlobalSet), left)
	step = appendUnsigned(append(step, opGlobalGet), left)
	step = append(step, opI32Eqz, opIf, blockEmpty, opUnreachable, opEnd)

	code := make([][]byte, len(m.code))
	for i, body := range m.code {
		var err error
		if code[i], err = insertInLoops(body, step); err != nil {
			return fmt.Errorf("the code of function %d: %w", len(m.imports)+i, err)
		}
	}
	m.code = code
	m.wrapExports(appendUnsigned(append(appendSigned([]byte{opI32Const}, stepLimit), opGlobalSet), left))
	return nil
}

// insertInLoops returns the body of a function with code inserted where each of its loops begins, which is
// where an iteration ends up that is not the last. The code must leave the stack as it is.
func insertInLoops(body, code []byte) ([]byte, error) {
	r := &reader{b: body}
	readVector(r, 2, func() struct{} { // locals: how many, and of which type
		r.u32()
		r.byte()
		return struct{}{}
	})
	var out []byte
	done := 0
	for r.pos < len(r.b) {
		if r.instruction() == opLoop {
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

// instruction reads one instruction with its immediate arguments, and returns its opcode ("Binary
// Format", "Instructions"). It knows those of WebAssembly 2.0 that Go's compiler and assembler use, and
// refuses the rest.
func (r *reader) instruction() byte {
	op := r.byte()
	switch {
	case op == opBlock, op == opLoop, op == opIf:
		r.signed(33) // a type
	case op == opBr, op == opBrIf, op == opCall, op >= opLocalGet && op <= opGlobalSet,
		op == opMemorySize, op == opMemoryGrow:
		r.u32() // the index of a label, function, local, global or memory
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
		r.signed(32)
	case op == opI64Const:
		r.signed(64)
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
	return op
}
