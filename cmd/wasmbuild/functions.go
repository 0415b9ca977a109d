package main

import (
	"bytes"
	"encoding/binary"
)

// The linker gives package runtime a table of all functions. It begins with a header, pcHeader in the
// runtime's source, of little-endian words of 64 bits. These are their offsets; the parts of the table,
// which follow each other in memory, are given by their distance from the header.
const (
	headerMagic     = 0  // always headerMagicGo120, for versions of Go that lay out the table like this
	headerCount     = 8  // how many functions there are
	headerNames     = 32 // part: names of functions
	headerUnits     = 40 // part: where the files of each compilation unit are named
	headerFiles     = 48 // part: names of files
	headerValues    = 56 // part: lists, referred to by offset, of what holds in the blocks of a function
	headerFunctions = 64 // part: an index of the functions, and their descriptions
	headerSize      = 72

	headerMagicGo120 = 0x08_01_0000_fffffff1 // size of a pointer, size of an instruction, padding, magic
)

// The description of a function, _func in the runtime's source, consists of little-endian words of 32
// bits. These are the offsets of some.
const (
	functionEntry      = 0  // the function's index in the module's table
	functionName       = 4  // where in the names its own is
	functionSP         = 16 // list of how far the stack pointer has moved
	functionFile       = 20 // list of files
	functionLine       = 24 // list of lines
	functionListCount  = 28 // how many functionLists there are
	functionUnit       = 32 // where in the units the function's own is
	functionStartLine  = 36 // the line that the function begins in
	functionFactCount  = 43 // how many facts there are; a byte
	functionLists      = 44 // lists that the collector and the unwinder need; then the facts
	functionIndexEntry = 8  // size of an entry in the index: functionEntry; where the description is
)

// What the lists and the facts of a description say (internal/abi, PCDATA and FUNCDATA). A list is given by
// its offset, 0 for none; a fact by its distance from moduleFacts, all ones for none.
const (
	listUnsafe   = 0 // where the function must not be interrupted
	listInlined  = 2 // which of the inlined calls a block belongs to
	listLiveArgs = 3 // which arguments are worth printing

	factInlined  = 3 // the inlined calls
	factArgs     = 5 // how to print arguments
	factLiveArgs = 6 // which of them are worth it
	factWrapped  = 7 // which function a wrapper is for, which a trace says

	noFact = 1<<32 - 1
)

// All of these tables are listed in moduledata, in words of 64 bits: where the header is; the address,
// length and capacity of the five parts, and of the index; where the hints are; and more.
const (
	modulePart      = 1
	moduleIndex     = 16
	moduleHints     = 19
	moduleTypes     = 37 // where types are described
	moduleTypesEnd  = 38
	moduleFacts     = 40 // where the facts are
	moduleTablesEnd = 41 // where the tables end
	moduleInits     = 59 // address, length and capacity of a list of addresses of lists of init functions
	moduleWordCount = 62
)

// functions is what the tables of a linked program tell about its functions, which are numbered in the order
// of the module's own.
type functions struct {
	memory       []byte // all of it
	header       int    // where the header is
	module       int    // where moduledata is
	first        uint32 // the index of the first function in the module's table
	names        []byte
	positions    []byte // units and files
	lists        []byte
	descriptions [][]byte
}

// findFunctions looks for the tables. It returns nil when they are not there, or not laid out as this
// program knows it: another version of Go may do that.
func findFunctions(memory []byte) *functions {
	for at := 0; at+headerSize <= len(memory); at += 8 {
		if word(memory, at+headerMagic) == headerMagicGo120 {
			f := &functions{memory: memory, header: at}
			if f.read() && f.findModule() {
				return f
			}
		}
	}
	return nil
}

// read takes the table apart, and reports whether all of it is as expected.
func (f *functions) read() bool {
	table := f.memory[f.header:]
	n := word(table, headerCount)
	names, units, files := word(table, headerNames), word(table, headerUnits), word(table, headerFiles)
	lists, end := word(table, headerValues), word(table, headerFunctions)
	if names < headerSize || names > units || units > files || files > lists || lists > end || end > uint64(len(table)) {
		return false
	}
	f.names, f.positions, f.lists = table[names:units], table[units:lists], table[lists:end]
	index := table[end:]
	if n == 0 || n > uint64(len(index)/functionIndexEntry) {
		return false
	}
	f.first = halfWord(index, 0)
	f.descriptions = make([][]byte, n)
	for i := range f.descriptions {
		entry := halfWord(index, i*functionIndexEntry)
		offset := halfWord(index, i*functionIndexEntry+4)
		if uint64(offset)+functionLists > uint64(len(index)) {
			return false
		}
		d := index[offset:]
		size := functionLists + 4*(uint64(halfWord(d, functionListCount))+uint64(d[functionFactCount]))
		if entry != f.first+uint32(i) || entry != halfWord(d, functionEntry) || size > uint64(len(d)) {
			return false
		}
		f.descriptions[i] = d[:size]
	}
	return true
}

// findModule looks for the moduledata that lists the table.
func (f *functions) findModule() bool {
	header, size := uint64(f.header), uint64(len(f.memory))
	for at := 0; at+8*moduleWordCount <= len(f.memory); at += 8 {
		if word(f.memory, at) != header {
			continue
		}
		f.module = at
		ordered := func(from, to uint64) bool { return from <= to && to <= size }
		if f.moduleWord(modulePart+9) == header+word(f.memory, f.header+headerValues) &&
			f.moduleWord(moduleIndex) == header+word(f.memory, f.header+headerFunctions) &&
			f.moduleWord(moduleIndex+1) == uint64(len(f.descriptions))+1 &&
			ordered(f.moduleWord(moduleTypes), f.moduleWord(moduleTypesEnd)) &&
			ordered(f.moduleWord(moduleFacts), f.moduleWord(moduleTablesEnd)) &&
			ordered(header, f.moduleWord(moduleTablesEnd)) &&
			f.moduleWord(moduleInits) <= size && f.moduleWord(moduleInits+1) <= (size-f.moduleWord(moduleInits))/8 {
			return true
		}
	}
	return false
}

func (f *functions) moduleWord(i int) uint64 {
	return word(f.memory, f.module+8*i)
}

// name returns the name of a function, as the linker has it, or "" if there is none.
func (f *functions) name(function int) string {
	offset := uint64(halfWord(f.descriptions[function], functionName))
	if offset >= uint64(len(f.names)) {
		return ""
	}
	name, _, _ := bytes.Cut(f.names[offset:], []byte{0})
	return string(name)
}

// list returns where a function's description has the offset of a list, or nil if it has none.
func (f *functions) list(function, list int) []byte {
	d := f.descriptions[function]
	if uint64(list) >= uint64(halfWord(d, functionListCount)) {
		return nil
	}
	return d[functionLists+4*list:][:4]
}

// fact returns where a function's description has the distance of a fact, or nil if it has none.
func (f *functions) fact(function, fact int) []byte {
	d := f.descriptions[function]
	if fact >= int(d[functionFactCount]) {
		return nil
	}
	return d[functionLists+4*(int(halfWord(d, functionListCount))+fact):][:4]
}

// at returns the function that a program counter is in: that is its index in the module's table times
// 1<<16, plus the block within it.
func (f *functions) at(pc uint64) (function int, ok bool) {
	i := pc>>16 - uint64(f.first)
	return int(i), i < uint64(len(f.descriptions))
}

func word(b []byte, offset int) uint64 {
	return binary.LittleEndian.Uint64(b[offset:])
}

func halfWord(b []byte, offset int) uint32 {
	return binary.LittleEndian.Uint32(b[offset:])
}
