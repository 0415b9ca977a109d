package main

import "fmt"

// In WebAssembly there is no way to a function but a call of it, or a program counter that somebody has. So a
// function that no code calls that can be entered, and whose program counter neither such code has nor
// anything in memory, is never entered again. That cannot be seen by the linker, which does not know that the
// runtime has been started, and that init functions have been run.

// references is what in memory leads to functions.
type references struct {
	functions []bool         // there is a program counter of theirs that anybody may come by
	values    map[uint64]int // by address: a program counter that only who has the address comes by, and of which function
}

// references looks for program counters in memory: function values, methods in tables of interfaces, what the
// stacks of goroutines return to, and methods in the descriptions of types, which the runtime takes from there
// when a value is asserted to be of an interface type. Any word that could be one counts; only those in the
// tables of functions do not. [functions.clearInits] has to be called before, or the init functions count.
//
// A word whose address is in the code but not in memory, is a value of its own, such as the linker makes of
// each function that is used as one. It counts when that code is entered.
func (f *functions) references(code [][]byte) (*references, error) {
	r := &references{make([]bool, len(f.descriptions)), make(map[uint64]int)}
	constants := make(map[uint64]bool)
	for i, body := range code {
		err := eachInstruction(body, func(op byte, argument int64) {
			if op == opI32Const || op == opI64Const {
				constants[uint64(argument)] = true
			}
		})
		if err != nil {
			return nil, fmt.Errorf("the code of function %d: %w", i, err)
		}
	}
	end := int(f.moduleWord(moduleTablesEnd))
	inMemory := make(map[uint64]bool)
	for at := 0; at+8 <= len(f.memory); at += 8 {
		if at >= f.header && at < end {
			continue
		}
		v := word(f.memory, at)
		if v < uint64(len(f.memory)) {
			inMemory[v] = true
		} else if i, ok := f.at(v); ok {
			r.values[uint64(at)] = i
		}
	}
	for at, i := range r.values {
		if !constants[at] || inMemory[at] {
			r.functions[i] = true
			delete(r.values, at)
		}
	}
	// A type's methods have two functions each, by index: one for values in interfaces, one for others.
	for at := int(f.moduleWord(moduleTypes)+3) &^ 3; at+8 <= int(f.moduleWord(moduleTypesEnd)); at += 4 {
		i, ok := f.at(uint64(halfWord(f.memory, at)) << 16)
		j, both := f.at(uint64(halfWord(f.memory, at+4)) << 16)
		if ok && both {
			r.functions[i], r.functions[j] = true, true
		}
	}
	return r, nil
}

// reach returns which of the module's own functions can be entered: the exports, those that anybody may come
// by, and what is called by one that can be entered, directly or by a value whose address it has. Imports
// must have been replaced.
func (m *module) reach(f *functions, from *references) ([]bool, error) {
	reached := make([]bool, len(m.code))
	var todo []int
	enter := func(i int) {
		if !reached[i] {
			reached[i] = true
			todo = append(todo, i)
		}
	}
	for i, is := range from.functions {
		if is {
			enter(m.stubs + i)
		}
	}
	for _, e := range m.exports {
		if e.kind == externFunc {
			enter(int(e.index))
		}
	}
	for len(todo) > 0 {
		caller := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		err := eachInstruction(m.code[caller], func(op byte, argument int64) {
			switch op {
			case opCall:
				enter(int(argument))
			case opI32Const, opI64Const:
				if i, ok := from.values[uint64(argument)]; ok {
					enter(m.stubs + i)
				}
				if i, ok := f.at(uint64(argument)); ok && m.stubs+i != caller {
					enter(m.stubs + i)
				}
			}
		})
		if err != nil {
			return nil, fmt.Errorf("the code of function %d: %w", caller, err)
		}
	}
	return reached, nil
}
