package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
)

// nodeScript is the side of Node, seen from the root of the repository. It reads the module and then requests,
// and writes for each a status, the number of pages, and the answer or what went wrong: bytes with their length
// before them. All numbers have 32 bits, little-endian.
const nodeScript = "bindings/js/scripts/soak.mjs"

// nodeEngine is an instance in another process.
type nodeEngine struct {
	command *exec.Cmd
	in      *bufio.Writer
	pipe    io.Closer
	out     *bufio.Reader
	answer  []byte
}

func startNode(ctx context.Context, module []byte, stderr io.Writer) (engine, error) {
	if _, err := exec.LookPath("node"); err != nil {
		return nil, errors.New("node is not installed; install it, or ask for \"-engine wazero\" alone")
	}
	if _, err := os.Stat(nodeScript); err != nil {
		return nil, fmt.Errorf("%w; run soak in the root of the repository", err)
	}
	e := &nodeEngine{command: exec.CommandContext(ctx, "node", nodeScript)}
	e.command.Stderr = stderr
	in, err := e.command.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := e.command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	e.in, e.pipe, e.out = bufio.NewWriter(in), in, bufio.NewReader(out)
	if err := e.command.Start(); err != nil {
		return nil, fmt.Errorf("starting node: %w", err)
	}
	if _, _, err := e.call(module); err != nil {
		return nil, errors.Join(err, e.close())
	}
	return e, nil
}

func (*nodeEngine) name() string { return "node" }

func (e *nodeEngine) close() error {
	return errors.Join(e.pipe.Close(), e.command.Wait())
}

func (e *nodeEngine) call(request []byte) ([]byte, uint32, error) {
	e.in.Write(binary.LittleEndian.AppendUint32(nil, uint32(len(request)))) // the error stays until Flush
	e.in.Write(request)
	if err := e.in.Flush(); err != nil {
		return nil, 0, fmt.Errorf("node: %w", err)
	}
	var head [12]byte
	if _, err := io.ReadFull(e.out, head[:]); err != nil {
		return nil, 0, fmt.Errorf("node ended early: %w", err)
	}
	status, pages, size := binary.LittleEndian.Uint32(head[:]), binary.LittleEndian.Uint32(head[4:]), binary.LittleEndian.Uint32(head[8:])
	if cap(e.answer) < int(size) {
		e.answer = make([]byte, size)
	}
	e.answer = e.answer[:size]
	if _, err := io.ReadFull(e.out, e.answer); err != nil {
		return nil, 0, fmt.Errorf("node ended early: %w", err)
	}
	if status != 0 {
		return nil, 0, &moduleError{engine: e.name(), problem: string(e.answer)}
	}
	return e.answer, pages, nil
}
