package conformance

import (
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/agentassert/agentassert/testvectors"
)

// Serve is a runner: it answers each line of in on out, until in or the context
// ends. Call takes the encoding of a request, and returns that of a response. Where
// the context ends first, a goroutine stays until in has another line or its end.
func Serve(ctx context.Context, in io.Reader, out io.Writer, call func(request []byte) ([]byte, error)) error {
	ended := make(chan error, 1)
	go func() {
		var failure error
		err := readLines(in, func(text []byte) bool {
			if ctx.Err() != nil {
				return false
			}
			reply, err := respond(text, call)
			if err == nil {
				_, err = out.Write(reply)
			}
			failure = err
			return err == nil
		})
		if failure == nil && err != nil {
			failure = fmt.Errorf("the kit's lines cannot be read: %w", err)
		}
		ended <- failure
	}()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
		return nil
	}
}

// respond returns the reply to a line.
func respond(text []byte, call func([]byte) ([]byte, error)) ([]byte, error) {
	id, request, err := parseLine(text)
	if err != nil {
		return nil, fmt.Errorf("the kit's line %s cannot be read: %w", quote(text), err)
	}
	encoded, err := testvectors.Encode(request)
	if err != nil {
		return nil, fmt.Errorf("%s: the request: %w", id, err)
	}
	data, err := call(encoded)
	if err != nil {
		return nil, fmt.Errorf("%s: the call failed: %w", id, err)
	}
	response, err := testvectors.Decode(data)
	if err != nil {
		return nil, fmt.Errorf("%s: the response: %w", id, err)
	}
	return encodeLine(reply{ID: id, Response: json.RawMessage(response)})
}
