package main

import "errors"

// trim takes out of a module what is of no use any more once the runtime has been started: functions that
// nobody can call, functions and variables that are listed as cut, and what the tables of functions say that
// nobody asks. Function indices stay as they are, for they are all over memory: a function that goes keeps a
// body that traps. Imports must have been replaced; memory is cleared in place.
//
// Where this program does not know the tables of functions it leaves the module alone, unless something is
// listed.
func (m *module) trim(memory []byte, c *cuts) error {
	f := findFunctions(memory)
	if f == nil {
		if len(c.list) > 0 {
			return errors.New("this version of Go lays out its tables of functions in another way than wasmbuild knows, so nothing can be cut; teach functions.go about it, or build with the version that go.mod names")
		}
		return nil
	}
	f.clearInits()
	if err := c.apply(m, f); err != nil {
		return err
	}
	references, err := f.references(m.code)
	if err != nil {
		return err
	}
	reached, err := m.reach(f, references)
	if err != nil {
		return err
	}
	code := make([][]byte, len(m.code))
	for i, body := range m.code {
		code[i] = trap
		if reached[i] {
			code[i] = body
		}
	}
	m.code = code
	if err := c.clearVariables(m, f); err != nil {
		return err
	}
	described := make([]bool, len(f.descriptions))
	for i := range described {
		// The runtime looks up what is on a stack even if it is cut.
		described[i] = references.functions[i] || !isTrap(m.code[m.stubs+i])
	}
	recovers, err := m.recovers(f)
	if err != nil {
		return err
	}
	f.clearTables(described, recovers)
	return nil
}

// recovers returns which functions recover from panics, or are looked at by what does.
func (m *module) recovers(f *functions) ([]bool, error) {
	recovers := make([]bool, len(f.descriptions))
	gorecover := -1
	for i := range recovers {
		switch f.name(i) {
		case "runtime.gorecover":
			gorecover = m.stubs + i
			recovers[i] = true
		case "runtime.gopanic":
			recovers[i] = true
		}
	}
	for i := range recovers {
		err := eachInstruction(m.code[m.stubs+i], func(op byte, argument int64) {
			if op == opCall && argument == int64(gorecover) {
				recovers[i] = true
			}
		})
		if err != nil {
			return nil, err
		}
	}
	return recovers, nil
}
