package proxy

// The codes of the proxy's own refusals, beside those of the authorization. They are in
// the response's body, {"error":{"code","message"}}, in the logs and in [RequestInfo].
const (
	// CodeForbiddenHost is a request for a host that the proxy is not known as.
	CodeForbiddenHost = "forbidden_host"
	// CodeInvalidToken is a request without a token that is admitted.
	CodeInvalidToken = "invalid_token"
	// CodeTooManyConnections is a request on a connection that there is no room for.
	CodeTooManyConnections = "too_many_connections"
	// CodeMethodNotAllowed is a method that is not passed on.
	CodeMethodNotAllowed = "method_not_allowed"
	// CodeInvalidPath is a path that could be taken for another one.
	CodeInvalidPath = "invalid_path"
	// CodeForbiddenPath is a path of biscuits or registrations.
	CodeForbiddenPath = "forbidden_path"
	// CodeInvalidBody is a body that has ended early.
	CodeInvalidBody = "invalid_body"
	// CodeAccountMissing is a request that names no account, or several.
	CodeAccountMissing = "account_missing"
	// CodeUnknownAccount is an account that is not there.
	CodeUnknownAccount = "unknown_account"
	// CodeAccountFailed is an account that cannot be used.
	CodeAccountFailed = "account_failed"
	// CodeUpstreamFailed is an upstream that does not answer, or not to the end.
	CodeUpstreamFailed = "upstream_failed"
)

// CodeInvalidConfig is a Config or a Setup that cannot be used. No response has it.
const CodeInvalidConfig = "invalid_proxy_config"
