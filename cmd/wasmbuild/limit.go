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

// limitSteps makes the functions count steps. It returns the index of the global that holds how many are left,
// which each call of an export has to reset.
func (m *module) limitSteps() (left uint64, err error) {
	left = uint64(len(m.globals))
	m.globals = append(m.globals[:left:left], global{typ: typeI32, mutable: true, init: constI32(0)})

	step := appendUnsigned([]byte{opGlobalGet}, left)
	step = append(step, opI32Const, 1, opI32Sub)
	step = appendUnsigned(append(step, opGlobalSet), left)
	step = appendUnsigned(append(step, opGlobalGet), left)
	step = append(step, opI32Eqz, opIf, blockEmpty, opUnreachable, opEnd)

	code := make([][]byte, len(m.code))
	for i, body := range m.code {
		if code[i], err = insertInLoops(body, step); err != nil {
			return 0, fmt.Errorf("the code of function %d: %w", len(m.imports)+i, err)
		}
	}
	m.code = code
	return left, nil
}

// appendStepReset appends code that sets the count of steps that are left to stepLimit.
func appendStepReset(code []byte, left uint64) []byte {
	return appendUnsigned(append(appendSigned(append(code, opI32Const), stepLimit), opGlobalSet), left)
}
