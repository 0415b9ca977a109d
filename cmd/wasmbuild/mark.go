package main

import "strconv"

// mark has each of the module's functions set a global of its own when it is entered, which is exported under
// the name of markName. That is for the tests, which hold against it what is cut: see cut.go.
func (m *module) mark() error {
	code := make([][]byte, len(m.code))
	m.globals = m.globals[:len(m.globals):len(m.globals)]
	m.exports = m.exports[:len(m.exports):len(m.exports)]
	for i, body := range m.code {
		index := uint64(len(m.globals))
		m.globals = append(m.globals, global{typ: typeI32, mutable: true, init: constI32(0)})
		m.exports = append(m.exports, export{markName(i), externGlobal, uint32(index)})
		r := codeReader(body)
		if r.err != nil {
			return r.err
		}
		code[i] = append(code[i], body[:r.pos]...)
		code[i] = appendUnsigned(append(code[i], opI32Const, 1, opGlobalSet), index)
		code[i] = append(code[i], body[r.pos:]...)
	}
	m.code = code
	return nil
}

// markName is the name of the global that tells whether a function has been entered.
func markName(function int) string {
	return "entered_" + strconv.Itoa(function)
}
