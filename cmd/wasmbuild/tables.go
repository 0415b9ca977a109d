package main

import (
	"slices"
)

// The runtime looks into its tables of functions to scan, move and unwind stacks, to recover from panics,
// and to print tracebacks, which it does in vain here. What is only there to be printed, and what is about
// functions that are gone, would be a third of the module; so it is cleared.

// The runtime starts to look for a function where a table of hints, findfunctab, says. That has one bucket
// for each 1<<12 program counters: an index u32, and 16 offsets u8.
const (
	bucketSize         = 20
	bucketsPerFunction = 1 << 16 / (1 << 12)
)

// clearInits clears the lists of init functions, each of which begins with two words of 32 bits, how far the
// runtime has come (2: done) and how many there are. They have been run, so nobody reads them again.
func (f *functions) clearInits() {
	lists := f.memory[f.moduleWord(moduleInits):]
	for i := range f.moduleWord(moduleInits + 1) {
		at := word(lists, int(8*i))
		if at > uint64(len(f.memory))-8 {
			continue
		}
		list := f.memory[at:]
		n := uint64(halfWord(list, 4))
		if halfWord(list, 0) == 2 && n <= uint64(len(list)-8)/8 {
			clear(list[8 : 8+8*n])
		}
	}
}

// clearTables clears what the tables say that is of no use. Of functions that are not kept that is
// everything. Of the others:
//
//   - Names, source files and lines are for tracebacks. What the runtime treats in a special way it knows by a
//     number, except in a method that the compiler made of a value's, for calls by pointer: of a nil pointer
//     it says whose method was called. Such names stay, which wraps says.
//   - Where a block was inlined from is for tracebacks, too, except that recover has to know how many
//     functions there are between it and the panic: so it stays in gopanic, in gorecover, and in what calls
//     that, which recovers says.
//   - How arguments are printed, and what a wrapper wraps, is for tracebacks and traces.
//
// To the runtime, a function without all that is nothing special.
func (f *functions) clearTables(kept, recovers, wraps []bool) {
	unusedFacts := make(map[uint64]bool) // by address; true until somebody uses it
	useLists := make([]bool, len(f.lists))
	useNames := make([]bool, len(f.names))
	ok := true
	for i, d := range f.descriptions {
		for fact := range int(d[functionFactCount]) {
			if at := f.fact(i, fact); halfWord(at, 0) != noFact {
				address := f.moduleWord(moduleFacts) + uint64(halfWord(at, 0))
				if kept[i] && wantsFact(fact, recovers[i]) {
					unusedFacts[address] = false
				} else if _, known := unusedFacts[address]; !known {
					unusedFacts[address] = true
				}
			}
		}
		if !kept[i] {
			continue
		}
		ok = f.useList(useLists, halfWord(d, functionSP)) && ok
		for list := range int(halfWord(d, functionListCount)) {
			if wantsList(list, recovers[i]) {
				ok = f.useList(useLists, halfWord(f.list(i, list), 0)) && ok
			}
		}
		if wraps[i] {
			start := halfWord(d, functionName)
			for at := range f.name(i) {
				useNames[int(start)+at] = true
			}
		}
	}
	if !ok {
		return // some list is not what this program takes it for
	}
	// From here on memory changes.
	for i, d := range f.descriptions {
		switch {
		case !kept[i]:
			clear(d)
			continue
		case !wraps[i]:
			clear(d[functionName : functionName+4])
		}
		for _, field := range []int{functionFile, functionLine, functionUnit, functionStartLine} {
			clear(d[field : field+4])
		}
		for list := range int(halfWord(d, functionListCount)) {
			if !wantsList(list, recovers[i]) {
				clear(f.list(i, list))
			}
		}
		for fact := range int(d[functionFactCount]) {
			if !wantsFact(fact, recovers[i]) {
				copy(f.fact(i, fact), []byte{0xff, 0xff, 0xff, 0xff}) // noFact
			}
		}
	}
	clearUnused(f.names, useNames)
	clearUnused(f.lists, useLists)
	clear(f.positions)
	f.clearFacts(unusedFacts)
	f.clearHints()
}

// wantsList reports whether a list of a function is of use. Nobody interrupts one on this platform.
func wantsList(list int, recovers bool) bool {
	switch list {
	case listInlined:
		return recovers
	case listUnsafe, listLiveArgs:
		return false
	}
	return true
}

// wantsFact reports whether a fact is of use.
func wantsFact(fact int, recovers bool) bool {
	switch fact {
	case factInlined:
		return recovers
	case factArgs, factLiveArgs, factWrapped:
		return false
	}
	return true
}

func clearUnused(b []byte, used []bool) {
	for i := range b {
		if !used[i] {
			b[i] = 0
		}
	}
}

// clearFacts clears facts that are not used. How long one is depends on what it is; but it ends before the
// next one begins. The last stays.
func (f *functions) clearFacts(unused map[uint64]bool) {
	starts := make([]uint64, 0, len(unused))
	for at := range unused {
		if at < f.moduleWord(moduleTablesEnd) {
			starts = append(starts, at)
		}
	}
	slices.Sort(starts)
	for i := 0; i+1 < len(starts); i++ {
		if unused[starts[i]] {
			clear(f.memory[starts[i]:starts[i+1]])
		}
	}
}

// useList marks the bytes of the list at an offset, and returns whether there is one. A list consists of
// pairs in unsigned LEB128, of a change in value and a change in program counter. A change in value
// of 0 ends it, unless it is the first. At offset 0 there is no list.
func (f *functions) useList(used []bool, offset uint32) bool {
	if offset == 0 {
		return true
	}
	if uint64(offset) >= uint64(len(f.lists)) {
		return false
	}
	r := &reader{b: f.lists, pos: int(offset)}
	for first := true; r.u32() != 0 || first; first = false {
		r.u32()
	}
	if r.err != nil {
		return false
	}
	for i := int(offset); i < r.pos; i++ {
		used[i] = true
	}
	return true
}

// clearHints clears the hints for all program counters but the first of each function. Of a program
// counter the runtime only looks up the upper part, and would find any function without hints, too, if
// more slowly. They take a fifth of a module that is not compressed.
func (f *functions) clearHints() {
	start := f.moduleWord(moduleHints)
	count := uint64(len(f.descriptions)-1) * bucketsPerFunction // the last function has fewer
	if start > uint64(len(f.memory)) || count > (uint64(len(f.memory))-start)/bucketSize {
		return
	}
	hints := f.memory[start : start+count*bucketSize]
	for i := range int(count) {
		bucket := hints[i*bucketSize : (i+1)*bucketSize]
		if halfWord(bucket, 0) != uint32(i/bucketsPerFunction) || zeroRun(bucket[4:]) != bucketSize-4 {
			return
		}
	}
	for i := range int(count) {
		if i%bucketsPerFunction != 0 {
			clear(hints[i*bucketSize : (i+1)*bucketSize])
		}
	}
}
