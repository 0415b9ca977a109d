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
	recovers, err := m.callers(f, "runtime.gorecover")
	if err != nil {
		return err
	}
	for i := range recovers {
		recovers[i] = recovers[i] || f.name(i) == "runtime.gorecover" || f.name(i) == "runtime.gopanic"
	}
	wraps, err := m.callers(f, "runtime.panicwrap")
	if err != nil {
		return err
	}
	f.clearTables(described, recovers, wraps)
	return nil
}

// callers returns which functions call one of that name.
func (m *module) callers(f *functions, name string) ([]bool, error) {
	callers := make([]bool, len(f.descriptions))
	for i := range callers {
		err := eachInstruction(m.code[m.stubs+i], func(op byte, argument int64) {
			if own := int(argument) - m.stubs; op == opCall && own >= 0 && own < len(callers) && f.name(own) == name {
				callers[i] = true
			}
		})
		if err != nil {
			return nil, err
		}
	}
	return callers, nil
}
