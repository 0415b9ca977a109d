package conformance

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/agentassert/agentassert/core"
)

// asRunner makes the test binary a runner: its arguments are this, how it behaves,
// and what that needs.
const asRunner = "as-runner"

// TestMain fails where the tests leave a goroutine behind.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == asRunner {
		os.Exit(runAs(os.Args[2], os.Args[3:]))
	}
	// The race detector would have each runner wait for a second as it exits.
	if err := os.Setenv("GORACE", "atexit_sleep_ms=0"); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m)
}

// runner returns the command that starts a runner.
func runner(t *testing.T, behaviour string, args ...string) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(append([]string{`"` + self + `"`, asRunner, behaviour}, args...), " ")
}

// runAs is the main function of a runner. It returns the exit code.
func runAs(behaviour string, args []string) int {
	switch behaviour {
	case "mute":
		fmt.Fprintln(os.Stderr, "I have nothing to say")
		return 4
	case "deaf":
		block()
	case "held":
		return hold(args)
	case "good":
		if err := Serve(context.Background(), os.Stdin, os.Stdout, callCore()); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return 0
	}
	call := callCore()
	target, rest := args[0], args[1:]
	err := readLines(os.Stdin, func(text []byte) bool {
		id, _, err := parseLine(text)
		if err != nil {
			panic(err)
		}
		reply, err := respond(text, call)
		if err != nil {
			panic(err)
		}
		bad := id == target || target == "all"
		if behaviour == "crashes-after" {
			bad = id != target
		}
		if !bad {
			os.Stdout.Write(reply)
			return true
		}
		misbehave(behaviour, id, reply, rest)
		return true
	})
	if err != nil {
		panic(err)
	}
	switch behaviour {
	case "stays":
		block()
	case "speaks-at-the-end":
		fmt.Println("goodbye")
	}
	return 0
}

func callCore() func([]byte) ([]byte, error) {
	guest := core.NewGuest()
	return func(request []byte) ([]byte, error) { return guest.Call(request), nil }
}

// misbehave answers one line. Reply is the right answer.
func misbehave(behaviour, id string, reply []byte, args []string) {
	quoted, err := json.Marshal(id)
	if err != nil {
		panic(err)
	}
	out := bufio.NewWriter(os.Stdout)
	switch behaviour {
	case "crashes", "crashes-after":
		os.Exit(3)
	case "ends":
		os.Exit(0)
	case "crashes-within":
		out.Write(reply[:len(reply)/2])
		out.Flush()
		os.Exit(3)
	case "hangs":
		block()
	case "hangs-with-child":
		startHeld(args[0])
		block()
	case "crashes-with-child":
		startHeld(args[0])
		os.Exit(3)
	case "closes":
		os.Stdout.Close()
		block()
	case "garbage":
		fmt.Fprintln(out, "Segmentation fault (core dumped)")
	case "binary":
		out.Write([]byte{0xff, 0xfe, 0, '\n'})
	case "other-id":
		fmt.Fprintln(out, `{"id":"other","unsupported":true}`)
	case "no-id":
		fmt.Fprintln(out, `{"unsupported":true}`)
	case "no-response":
		fmt.Fprintf(out, `{"id":%s}`+"\n", quoted)
	case "null":
		fmt.Fprintf(out, `{"id":%s,"response":null}`+"\n", quoted)
	case "empty-response":
		fmt.Fprintf(out, `{"id":%s,"response":{}}`+"\n", quoted)
	case "wrong":
		fmt.Fprintf(out, `{"id":%s,"response":{"ok":{"public_key":"x","private_key":"y"}}}`+"\n", quoted)
	case "twice":
		out.Write(reply)
		out.Write(reply)
	case "endless":
		out.Write(bytes.Repeat([]byte("x"), MaxLine+1))
		out.WriteByte('\n')
	case "flood":
		for {
			fmt.Fprintln(out, "x")
		}
	case "unsupported":
		fmt.Fprintf(out, `{"unsupported":true,"id":%s}`+"\n", quoted)
	case "spacious":
		fmt.Fprintf(out, "\n \t\r\n \t%s \r\n\n", bytes.TrimSpace(reply))
	default:
		out.Write(reply)
	}
	out.Flush()
}

func listen() net.Listener {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	return l
}

// block never returns.
func block() {
	_, err := listen().Accept()
	panic(err)
}

// startHeld starts a child, and waits until it is connected to the address. The
// child has this process's standard output, too, and keeps it open.
func startHeld(address string) {
	self, err := os.Executable()
	if err != nil {
		panic(err)
	}
	l := listen()
	child := exec.Command(self, asRunner, "held", address, l.Addr().String())
	child.Stdout, child.Stderr = os.Stdout, os.Stderr
	if err := child.Start(); err != nil {
		panic(err)
	}
	if _, err := l.Accept(); err != nil {
		panic(err)
	}
}

// hold connects to all addresses, and stays until the process is killed.
func hold(addresses []string) int {
	for _, address := range addresses {
		if _, err := net.Dial("tcp", address); err != nil {
			panic(err)
		}
	}
	block()
	return 0
}
