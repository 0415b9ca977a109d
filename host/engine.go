package host

import (
	"context"

	"github.com/fxamacker/cbor/v2"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/internal/egress"
	"github.com/agentassert/agentassert/internal/policy"
)

// Engine runs the core. It takes the encoding of a wire.Request and returns
// that of a wire.Response: package core/wire defines both, [Call] wraps them. An
// error of Call says that there is no response; an error of the core's is in the
// response.
//
// [Sandbox] and [Native] are the engines; both are safe for concurrent use, and
// both give the same bytes.
type Engine interface {
	Call(ctx context.Context, request []byte) (response []byte, err error)
	Close(ctx context.Context) error
}

// The codes of this package's errors, beside those of package core.
const (
	// CodeInvalidModule is a module that is damaged, that imports something, that
	// lacks a function of the ABI, or that declares or takes more than it may.
	CodeInvalidModule = "invalid_module"
	// CodeABIVersion is a module of another version of the ABI.
	CodeABIVersion = "abi_version"
	// CodeSandboxFailed is a call that trapped or overran its deadline. The
	// instance is gone; the next call gets another.
	CodeSandboxFailed = "sandbox_failed"
	// CodeClosed is a call after Close.
	CodeClosed = "closed"
	// CodeCanceled is a caller that stopped waiting.
	CodeCanceled = "canceled"
	// CodeCacheFailed is a compilation cache that could not be used as it was; no
	// more than [Sandbox.CacheProblem] comes of it.
	CodeCacheFailed = "cache_failed"
	// CodeInvalidProxy is a variable, such as HTTPS_PROXY, that does not name a proxy
	// which can be used. Nothing is sent around such a proxy.
	CodeInvalidProxy = egress.CodeInvalidProxy
	// CodeTLSUntrusted is a certificate signed by an authority that is not trusted.
	// Such an authority can be added in RootCAs of an HTTPClient's transport, too.
	CodeTLSUntrusted = egress.CodeTLSUntrusted
	// CodePolicyViolation is a module that asks for an effect, or gives an answer, that no
	// module of this project's does. Nothing of it was done.
	CodePolicyViolation = policy.CodeViolation
	// CodeInsecureBaseURL is a base URL with http for another machine, which has to be
	// allowed: ManagerConfig.AllowHTTP.
	CodeInsecureBaseURL = "insecure_base_url"
	// CodeNoEntropy is a source of entropy that has none.
	CodeNoEntropy = "no_entropy"
	// CodeInvalidManagerConfig is a ManagerConfig without something it needs.
	CodeInvalidManagerConfig = "invalid_manager_config"
)

// checkSize refuses what no engine takes, before an instance sees it.
func checkSize(request []byte) error {
	if len(request) == 0 || len(request) > wire.MaxMessage {
		return fail(core.CodeInvalidRequest, "the request is empty or larger than a message can be", nil)
	}
	return nil
}

func fail(code, message string, err error) *core.Error {
	return &core.Error{Code: code, Message: message, Err: err}
}

// The host's codec: the same bytes as package wire's, which has no reflection
// and is what the guest uses.
var (
	encMode = must(cbor.EncOptions{
		Sort:          cbor.SortCoreDeterministic,
		IndefLength:   cbor.IndefLengthForbidden,
		TagsMd:        cbor.TagsForbidden,
		NilContainers: cbor.NilContainerAsEmpty,
	}.EncMode())
	decMode = must(cbor.DecOptions{
		DupMapKey:         cbor.DupMapKeyEnforcedAPF,
		IndefLength:       cbor.IndefLengthForbidden,
		TagsMd:            cbor.TagsForbidden,
		ExtraReturnErrors: cbor.ExtraDecErrorUnknownField,
		UTF8:              cbor.UTF8RejectInvalid,
		MaxNestedLevels:   16,
	}.DecMode())
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// Call runs one method of the core: its name, its parameters and its result are
// listed in package wire. For example
//
//	pair, err := host.Call[wire.KeyPair](ctx, engine, wire.MethodKeyGenerate,
//		wire.KeyGenerateParams{Entropy: entropy})
//
// The error is a [*core.Error] with a code of package core or of this package.
func Call[Result any](ctx context.Context, e Engine, method string, params any) (Result, error) {
	var response response[Result]
	encoded, err := encMode.Marshal(request{method, params})
	if err != nil {
		return response.none(), fail(core.CodeInvalidRequest, "the parameters of "+method+" cannot be encoded", err)
	}
	if encoded, err = e.Call(ctx, encoded); err != nil {
		return response.none(), err
	}
	if err := decMode.Unmarshal(encoded, &response); err != nil {
		return response.none(), fail(CodeSandboxFailed, "the core's response to "+method+" cannot be read", err)
	}
	switch {
	case response.Error != nil && !policy.IsCode(response.Error.Code):
		return response.none(), fail(CodeSandboxFailed, "the core's response is an error without a code", nil)
	case response.Error != nil:
		return response.none(), fail(response.Error.Code, policy.Text(response.Error.Message), nil)
	case response.OK == nil:
		return response.none(), fail(CodeSandboxFailed, "the core's response to "+method+" is neither a result nor an error", nil)
	}
	return *response.OK, nil
}

// request is a wire.Request whose parameters are encoded with it.
type request struct {
	Method string `cbor:"method"`
	Params any    `cbor:"params"`
}

// response is a wire.Response whose result is decoded with it.
type response[Result any] struct {
	OK    *Result     `cbor:"ok,omitempty"`
	Error *wire.Error `cbor:"error,omitempty"`
}

// none is no result.
func (response[Result]) none() (none Result) { return none }
