package core_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
)

// now is 2026-11-24T15:16:08Z.
const now = 1795533368

func TestRefusal(t *testing.T) {
	const (
		neither = ""
		revoked = "revoked"
		expired = "expired"
		passes  = "passes"
	)
	for name, tt := range map[string]struct {
		step   string
		status int
		body   string
		code   string
		means  string
	}{
		"an expired task":                      {"", 401, `{"error":{"code":"task_expired"}}`, "task_expired", expired},
		"an unknown task":                      {"", 401, `{"error":{"code":"unknown_task","message":"no such task"}}`, "unknown_task", expired},
		"a missing task":                       {"", 401, `{"code":"task_not_found"}`, "task_not_found", expired},
		"an invalid task":                      {"", 401, `{"error":"invalid_task_id"}`, "invalid_task_id", expired},
		"a code in a detail":                   {"", 401, `{"detail":{"code":"task_expired"}}`, "task_expired", expired},
		"a task of another kind":               {"", 404, `{"error":{"code":"task_not_found"}}`, "task_not_found", neither},
		"an account":                           {"", 401, `{"error":{"code":"account_deactivated"}}`, "account_deactivated", neither},
		"no code":                              {"", 401, `{"error":{"message":"no"}}`, "", neither},
		"a sentence":                           {"", 401, `{"error":"Something went wrong."}`, "", neither},
		"a sentence beside a code":             {"", 401, `{"error":"Something went wrong.","code":"task_expired"}`, "task_expired", expired},
		"a number":                             {"", 401, `{"error":{"code":401}}`, "", neither},
		"a code that is too long":              {"", 401, `{"code":"` + strings.Repeat("a", 129) + `"}`, "", neither},
		"null":                                 {"", 401, `{"error":null,"detail":null,"code":null}`, "", neither},
		"an array":                             {"", 401, `[{"code":"task_expired"}]`, "", neither},
		"no JSON":                              {"", 401, "<html>task_expired</html>", "", neither},
		"more behind the object":               {"", 401, `{"code":"task_expired"} and more`, "task_expired", expired},
		"cut off":                              {"", 401, `{"error":{"code":"task_expired"},"text":"x`, "", neither},
		"an unknown agent":                     {"", 401, `{"error":{"code":"unknown_agent"}}`, "unknown_agent", revoked},
		"an unknown agent, forbidden":          {"", 403, `{"error":{"code":"unknown_agent"}}`, "unknown_agent", revoked},
		"a revoked instance":                   {"", 401, `{"error":{"code":"runtime_instance_revoked"}}`, "runtime_instance_revoked", revoked},
		"a call that is not there":             {"", 404, "", "", neither},
		"a task's registration, not found":     {wire.StepTask, 404, "", "", revoked},
		"a task's registration, gone":          {wire.StepTask, 410, "", "", revoked},
		"a task's registration, unknown":       {wire.StepTask, 403, `{"error":{"code":"unknown_agent"}}`, "unknown_agent", revoked},
		"a task's registration, forbidden":     {wire.StepTask, 403, "", "", neither},
		"an identity's registration, not here": {wire.StepIdentity, 404, "", "", neither},
		"too many":                             {"", 429, `{"error":{"code":"rate_limit_exceeded"}}`, "rate_limit_exceeded", passes},
		"no time":                              {wire.StepTask, 503, "", "", passes},
		"internal, of the agent":               {"", 500, `{"error":{"code":"unknown_agent"}}`, "unknown_agent", passes},
		"a time-out":                           {"", 408, "", "", passes},
		"a redirect":                           {"", 302, "", "", neither},
	} {
		t.Run(name, func(t *testing.T) {
			r := core.NewRefusal(core.Answer{Status: tt.status, Body: []byte(tt.body), Now: now})
			r.Step = tt.step
			err := fmt.Errorf("asking: %w", r)
			if r.Code != tt.code || r.Status != tt.status {
				t.Errorf("status %d, code %q; want %q", r.Status, r.Code, tt.code)
			}
			for means, target := range map[string]error{revoked: core.ErrAgentRevoked, expired: core.ErrTaskExpired, passes: core.ErrTemporary} {
				if got, want := errors.Is(err, target), means == tt.means; got != want {
					t.Errorf("%s: %v, want %v", means, got, want)
				}
			}
			if core.Code(err) != core.CodeHTTPStatus || !errors.Is(err, &core.Error{Code: core.CodeHTTPStatus}) {
				t.Errorf("the code is %s", core.Code(err))
			}
			if got, ok := errors.AsType[*core.Refusal](err); !ok || got != r {
				t.Error("the refusal is not in the chain")
			}
			if text := r.Error(); !strings.Contains(text, fmt.Sprint(tt.status)) || !strings.Contains(text, tt.code) {
				t.Errorf("%q", text)
			}
		})
	}
}

func TestUnknownAgentIsRevoked(t *testing.T) {
	err := fmt.Errorf("asking: %w", &core.Error{Code: core.CodeUnknownAgent, Message: "the backend does not know the agent"})
	if !errors.Is(err, core.ErrAgentRevoked) || errors.Is(err, core.ErrTaskExpired) {
		t.Error("an unknown agent is not ErrAgentRevoked alone")
	}
	if errors.Is(&core.Error{Code: core.CodeHTTPStatus, Message: "x"}, core.ErrAgentRevoked) {
		t.Error("whatever fails is ErrAgentRevoked")
	}
}

func TestRefusalRetryAfter(t *testing.T) {
	for name, tt := range map[string]struct {
		header http.Header
		want   int64
	}{
		"none":                {nil, 0},
		"seconds":             {http.Header{"Retry-After": {"30"}}, 30},
		"another spelling":    {http.Header{"retry-after": {"30"}}, 30},
		"two spellings":       {http.Header{"retry-after": {"30"}, "RETRY-AFTER": {"40"}}, 40},
		"no value":            {http.Header{"Retry-After": {}}, 0},
		"a date":              {http.Header{"Retry-After": {"Tue, 24 Nov 2026 15:17:08 GMT"}}, 60},
		"a date in the past":  {http.Header{"Retry-After": {"Tue, 24 Nov 2026 15:15:08 GMT"}}, 0},
		"more than a day":     {http.Header{"Retry-After": {"604800"}}, 86400},
		"more than 64 bits":   {http.Header{"Retry-After": {strings.Repeat("9", 40)}}, 86400},
		"neither":             {http.Header{"Retry-After": {"soon"}}, 0},
		"negative":            {http.Header{"Retry-After": {"-1"}}, 0},
		"another field, too":  {http.Header{"Date": {"x"}, "Retry-After": {"1"}}, 1},
		"several, of a field": {http.Header{"Retry-After": {"1", "2"}}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			r := core.NewRefusal(core.Answer{Status: 429, Header: tt.header, Now: now})
			if r.RetryAfter != tt.want {
				t.Errorf("%d, want %d", r.RetryAfter, tt.want)
			}
			if asks := strings.Contains(r.Error(), "left alone"); asks != (tt.want > 0) {
				t.Errorf("%q", r.Error())
			}
		})
	}
}

// The secrets of these tests have the lengths and the characters of real ones.
var (
	testJWT       = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ1c2VyLTEifQ.c2lnbmF0dXJlLW9mLXRoaXM_-w"
	testPassword  = "correct/horse+battery=staple"
	testKey       = "MC4CAQAwBQYDK2VwBCIEIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	testBiscuit   = base64.RawURLEncoding.EncodeToString([]byte("a biscuit of random bytes, 32 of"))
	testAssertion = "AgentAssertion eyJhZ2VudF9ydW50aW1lX2lkIjoiYWdlbnQtMSJ9"
)

func TestRefusalHidesSecrets(t *testing.T) {
	escaped := func(s, from, to string) string { return strings.ReplaceAll(s, from, to) }
	inJSON, err := json.Marshal(map[string]string{"quoted": `{"token":"` + testPassword + `"}`})
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		body    string
		secrets []string
		hidden  []string
	}{
		"one that is given":             {`you sent ` + testPassword + `!`, []string{testPassword}, []string{testPassword}},
		"a short one":                   {`you sent hunter2!`, []string{"hunter2"}, []string{"hunter2"}},
		"a whole header field":          {`you sent ` + testPassword, []string{"Bearer " + testPassword}, []string{testPassword}},
		"escaped slashes":               {`{"a":"` + escaped(testPassword, "/", `\/`) + `"}`, []string{testPassword}, []string{"horse", "staple"}},
		"escaped characters":            {`{"a":"` + escaped(testPassword, "+", `\u002b`) + `"}`, []string{testPassword}, []string{"horse", "staple"}},
		"all of it escaped":             {`{"a":"\u0068\u0075nter2"}`, []string{"hunter2"}, []string{"nter2"}},
		"JSON in JSON":                  {escaped(string(inJSON), "+", `\\u002b`), []string{testPassword}, []string{"horse", "staple"}},
		"in a URL":                      {"https://login.example/?t=" + url.QueryEscape(testPassword), []string{testPassword}, []string{"horse", "staple"}},
		"cut off":                       {`you sent ` + testPassword[:20], []string{testPassword}, []string{"horse"}},
		"twice, one over the other":     {"aXaXaXb", []string{"aXaXa", "XaXb"}, []string{"X"}},
		"several":                       {"hunter2 and hunter3", []string{"hunter2", "hunter3"}, []string{"hunter"}},
		"a JWT":                         {`{"jwt":"` + testJWT + `"}`, nil, []string{"eyJ", "c2lnbmF0"}},
		"the beginning of a JWT":        {`{"jwt":"` + testJWT[:30], nil, []string{"eyJ"}},
		"a bearer token":                {`Authorization: Bearer ` + testPassword, nil, []string{"horse", "staple"}},
		"a bearer token, in lower case": {`{"authorization":"bearer ` + testPassword + `"}`, nil, []string{"horse", "staple"}},
		"a field with a biscuit":        {`x-openai-authorization: ` + testPassword, nil, []string{"horse", "staple"}},
		"the same as JSON":              {`{"X-OpenAI-Authorization":"` + testPassword + `"}`, nil, []string{"horse", "staple"}},
		"a biscuit":                     {`biscuit ` + testBiscuit + ` is used`, nil, []string{testBiscuit}},
		"an assertion":                  {`got ` + testAssertion, nil, []string{"eyJ"}},
		"an instance's assertion":       {`got 1.` + testJWT, nil, []string{"eyJ", "c2lnbmF0"}},
		"a private key":                 {`{"agent_private_key":"` + testKey + `"}`, nil, []string{"MC4C", "AAAA"}},
		"a key in PEM":                  {"-----BEGIN PRIVATE KEY-----\nMC4C\nAQAw\n-----END PRIVATE KEY-----\nend", nil, []string{"MC4C", "AQAw"}},
		"a key in PEM, in JSON":         {`{"k":"-----BEGIN PRIVATE KEY-----\nMC4C\nAQAw\n-----END PRIVATE KEY-----"}`, nil, []string{"MC4C", "AQAw"}},
		"a key in PEM, cut off":         {"-----BEGIN PRIVATE KEY-----\nMC4C\nAQAw\n", nil, []string{"MC4C", "AQAw"}},
		"an API key":                    {`Incorrect API key provided: sk-proj-abcdefgh.`, nil, []string{"abcdefgh"}},
		"a seed as hexadecimal":         {strings.Repeat("0123456789abcdef", 4), nil, []string{"0123"}},
		"far behind":                    {strings.Repeat(" ", 3000) + "hunter2", []string{"hunter2"}, []string{"hunter2"}},
		"a code":                        {`{"error":{"code":"hunter2"}}`, []string{"hunter2"}, []string{"hunter2"}},
		"a code that is a token":        {`{"error":"` + testJWT[:40] + `"}`, nil, []string{"eyJ"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := core.NewRefusal(core.Answer{Status: 401, Body: []byte(tt.body), Now: now}, tt.secrets...)
			if !strings.Contains(r.Body, "[hidden]") {
				t.Errorf("nothing is hidden: %q", r.Body)
			}
			shown := fmt.Sprintf("%v %+v %#v %s", r, *r, *r, r.Error())
			encoded, err := json.Marshal(r)
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(name, "a code") && r.Code != "" {
				t.Errorf("the code is %q", r.Code)
			}
			for _, secret := range tt.hidden {
				if strings.Contains(shown, secret) || strings.Contains(string(encoded), secret) {
					t.Errorf("%q is in %q", secret, shown)
				}
			}
		})
	}
}

func TestRefusalShowsTheRest(t *testing.T) {
	long := strings.Repeat("é", 3000)
	for name, tt := range map[string]struct{ body, want string }{
		"nothing":      {"", ""},
		"JSON":         {`{"error":{"code":"a","message":"say \"x\" \/ \u00e9"}}`, `{"error":{"code":"a","message":"say \"x\" \/ \u00e9"}}`},
		"lines":        {"a\r\n\tb\n\n", "a b"},
		"controls":     {"a\x00\x1b[31mb\u202ec", "a��[31mb�c"},
		"no UTF-8":     {"a\xffb", "a�b"},
		"ids and URLs": {"request req_0123456789abcdef0123456789abcdef, see https://help.example/en/articles/agent-identity/v1/tasks/register", "request req_0123456789abcdef0123456789abcdef, see https://help.example/en/articles/agent-identity/v1/tasks/register"},
		"between":      {`{"a":"` + testJWT + `","b":"c"}`, `{"a":"[hidden]","b":"c"}`},
		"a UUID":       {"6c84fb90-12c4-11e1-840d-7b25c5ee775a", "6c84fb90-12c4-11e1-840d-7b25c5ee775a"},
		"too long":     {long, long[:2044] + "…"},
		"a per cent":   {"100% of 5%", "100% of 5%"},
	} {
		t.Run(name, func(t *testing.T) {
			r := core.NewRefusal(core.Answer{Status: 400, Body: []byte(tt.body), Now: now}, "", "unrelated secret")
			if r.Body != tt.want {
				t.Errorf("%q, want %q", r.Body, tt.want)
			}
		})
	}
}

// What is just long enough, or has just the form, to be hidden, and what just has not.
func TestRefusalHidesNoMore(t *testing.T) {
	random := "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMN" // of 40 letters
	token := "abcdefghijkl"                              // of 12
	for body, want := range map[string]string{
		// What is long, and has digits among its letters.
		random:                                random,
		"0" + random[1:]:                      "[hidden]",
		"9" + random[1:]:                      "[hidden]",
		"0" + random[2:]:                      "0" + random[2:],
		"0" + strings.ToLower(random[1:]):     "[hidden]",
		"0" + strings.ToUpper(random[1:]):     "[hidden]",
		strings.Repeat("0", 40):               strings.Repeat("0", 40),
		"0/" + random[2:]:                     "[hidden]",
		"0/" + strings.ToLower(random[2:]):    "0/" + strings.ToLower(random[2:]),
		"0/" + strings.ToUpper(random[2:]):    "0/" + strings.ToUpper(random[2:]),
		"//" + random[2:]:                     "//" + random[2:],
		"(0" + random[1:] + ")":               "([hidden])",
		"{0" + random[1:] + "}":               "{[hidden]}",
		"[0" + random[1:] + "]":               "[[hidden]]",
		"@0" + random[1:] + "`":               "@[hidden]`",
		":0" + random[1:] + ";":               ":[hidden];",
		"0-._~+=" + random[7:] + ",":          "[hidden],",
		random[:20] + "{" + "0" + random[21:]: random[:20] + "{" + "0" + random[21:],
		// A character that escapes nothing.
		`\0` + random[2:]:                    `\0` + random[2:],
		random[:20] + `\0` + random[21:]:     random[:20] + `\0` + random[21:],
		`\-----BEGIN X-----b-----END X-----`: `\[hidden]`,
		// The beginning of a JSON object in base64.
		"eyJabcdefghijklm": "[hidden]",
		"eyJabcdefghijkl":  "eyJabcdefghijkl",
		"abcdefghijklmeyJ": "[hidden]",
		// API keys and refresh tokens.
		"sk-abcdefghi": "[hidden]",
		"sk-abcdefgh":  "sk-abcdefgh",
		"rt_abcdefghi": "[hidden]",
		"rt.abcdefghi": "[hidden]",
		"xsk-abcdefgh": "xsk-abcdefgh",
		// What follows a scheme.
		"Bearer " + token:                            "Bearer [hidden]",
		"Bearer " + token[1:]:                        "Bearer " + token[1:],
		"Basic " + token:                             "Basic [hidden]",
		"agentassertion " + token:                    "agentassertion [hidden]",
		"X-OpenAI-Authorization " + token:            "X-OpenAI-Authorization [hidden]",
		"X-OpenAI-Agent-Assertion:\t'" + token + "'": "X-OpenAI-Agent-Assertion: '[hidden]'",
		"Bearer {" + token + "}":                     "Bearer {" + token + "}",
		"Bearer is " + token:                         "Bearer is " + token,
		"Bearer! " + token:                           "Bearer! " + token,
		"Digest " + token:                            "Digest " + token,
		// Keys.
		"a -----BEGIN X-----b-----END X----- c":                                "a [hidden] c",
		"-----BEGIN X-----b-----END X----":                                     "[hidden]",
		"-----BEGIN X-----b-----END":                                           "[hidden]",
		"-----BEGIN X-----b-----END X-----c-----BEGIN Y-----d-----END Y-----e": "[hidden]c[hidden]e",
		"-----BEGIN":      "-----BEGIN",
		"-----END X-----": "-----END X-----",
	} {
		if r := core.NewRefusal(core.Answer{Status: 401, Body: []byte(body)}); r.Body != want {
			t.Errorf("%s becomes %s, want %s", body, r.Body, want)
		}
	}
}

// A secret is found in the text around it, and in nothing else.
func TestRefusalHidesJustTheSecret(t *testing.T) {
	const secret = `p"q/r<s`
	for body, want := range map[string]string{
		`xp"q/r<sy`:                   "x[hidden]y",
		`p"q/r<s`:                     "[hidden]",
		`p"q/r<sp"q/r<s`:              "[hidden]",
		`xp\"q\/r\u003csy`:            "x[hidden]y",
		`xp\"q\/r\u003Csy`:            "x[hidden]y",
		`xp\\\"q\\/r\\u003csy`:        "x[hidden]y",
		`xp%22q%2Fr%3csy`:             "x[hidden]y",
		`xp%2522q%252Fr%253csy`:       "x[hidden]y",
		`xp%252522q%25252fr%25253csy`: "x[hidden]y",
		`xp%25252522q/r<sy`:           `xp%25252522q/r<sy`, // four times
		`xp"q/r<`:                     "x[hidden]",
		`xp\"q/`:                      "x[hidden]",
		`xp\"q`:                       `xp\"q`,
		`p"q/r`:                       "[hidden]",
		`p"q/r>s`:                     `p"q/r>s`,
		`\u003`:                       `\u003`,
		`\u00`:                        `\u00`,
		`\u003g<`:                     `\u003g<`,
		`\`:                           `\`,
		`%`:                           `%`,
		`%3`:                          `%3`,
		`%3g`:                         `%3g`,
		`\uffff%ff%80`:                `\uffff%ff%80`,
		`\q\z`:                        `\q\z`,
	} {
		if r := core.NewRefusal(core.Answer{Status: 401, Body: []byte(body)}, secret); r.Body != want {
			t.Errorf("%s becomes %s, want %s", body, r.Body, want)
		}
	}
	for _, tt := range []struct{ secret, body, want string }{
		{"hunter2", `\u0068unter2%68unter2`, "[hidden]"},
		{"a\bc\fd\ne\rf\tg", `a\bc\fd\ne\rf\tg.`, "[hidden]."},
		{"hüntér", `h\u00fcnt\u00e9r h%c3%bcnt%c3%a9r`, "[hidden] [hidden]"},
		{"\uffff1234", `\uffff1234!`, "[hidden]!"},
		{"\x7f~\x80", `%7f~%80!`, "[hidden]!"},
		{"ab\x00cd", "ab%zzcd", "ab%zzcd"},
		{"abcdA", "abcd%41", "[hidden]"},
		{"abcdA", "abcd\\u0041", "[hidden]"},
		{"abcd\n", "abcd\\n", "[hidden]"},
		{"", "abcd", "abcd"},
		{"abab", "ababab", "[hidden]"},
		{"abcdefgh", "abcdefg abcdef abcd", "abcdefg abcdef [hidden]"},
		{"abcdefgh", "abcdefg abc", "abcdefg abc"},
		{"abcdefgh", "abc", "abc"},
		{"xyz one two", "one twenty one two", "one twenty [hidden]"},
	} {
		if r := core.NewRefusal(core.Answer{Status: 401, Body: []byte(tt.body)}, tt.secret); r.Body != tt.want {
			t.Errorf("%s in %s: %s, want %s", tt.secret, tt.body, r.Body, tt.want)
		}
	}
}

// How much is kept, and of how much.
func TestRefusalBounds(t *testing.T) {
	const most, looked = 2 << 10, 16 << 10
	x := strings.Repeat
	for _, tt := range []struct{ body, want string }{
		{x(".", most), x(".", most)},
		{x(".", most+1), x(".", most-3) + "…"},
		{x(".", most-4) + "éé", x(".", most-4) + "éé"},
		{x(".", most-4) + "ééé", x(".", most-4) + "…"},
		{x(".", most-3) + "éé", x(".", most-3) + "…"},
		{x(" ", looked-1) + "..", "."},
		{x(" ", looked) + ".", ""},
		{". ", "."},
		{".~ ", ".~"},
		{" .", "."},
		{". \t\r\n .", ". ."},
		{"AKIA", "AKIA"},
	} {
		if r := core.NewRefusal(core.Answer{Status: 401, Body: []byte(tt.body)}); r.Body != tt.want {
			t.Errorf("%d bytes: %d bytes, %q", len(tt.body), len(r.Body), r.Body[max(0, len(r.Body)-20):])
		}
	}
	deep := func(n int) string { return `{"code":"x","a":` + x("[", n) + x("]", n) + "}" }
	for body, code := range map[string]string{
		deep(64): "x", deep(65): "",
		` {"code":"x"}`:                    "x",
		`{"error":{"code":""},"code":"x"}`: "x",
		`{"error":{"code":"a"},"detail":{"code":"b"},"code":"c"}`: "a",
		`{"detail":{"code":"b"},"code":"c","error":"d"}`:          "b",
		`{"code":"c","error":"d"}`:                                "c",
		`{"code":"azAZ09_.-"}`:                                    "azAZ09_.-",
		`{"code":"` + x("a", 128) + `"}`:                          x("a", 128),
		`{"code":"` + x("a", 129) + `"}`:                          "",
		`{"code":"a{"}`:                                           "", `{"code":"a` + "`" + `"}`: "", `{"code":"A@"}`: "", `{"code":"A["}`: "", `{"code":"0/"}`: "", `{"code":"0:"}`: "", `{"code":"a~"}`: "",
	} {
		if r := core.NewRefusal(core.Answer{Status: 401, Body: []byte(body)}); r.Code != code {
			t.Errorf("%.60s: the code is %q, want %q", body, r.Code, code)
		}
	}
}

func TestRefusalError(t *testing.T) {
	for want, r := range map[string]core.Refusal{
		"the backend answered 418":                                                                  {Status: 418},
		"minting a biscuit: the backend answered 403":                                               {Status: 403, Step: wire.StepBiscuit},
		"registering the agent: the backend answered 403 (x)":                                       {Status: 403, Step: wire.StepIdentity, Code: "x"},
		"registering a task: the backend answered 429 (x); it asks to be left alone for 1 min 30 s": {Status: 429, Step: wire.StepTask, Code: "x", RetryAfter: 90},
	} {
		if r.Error() != want {
			t.Errorf("%s, want %s", r.Error(), want)
		}
	}
	for _, tt := range []struct {
		status          int
		revoked, passes bool
	}{{399, false, false}, {400, true, false}, {407, true, false}, {408, true, true}, {409, true, false}, {424, true, false}, {425, true, true}, {426, true, false}, {429, true, true}, {430, true, false}, {499, true, false}, {500, false, true}, {599, false, true}} {
		r := &core.Refusal{Status: tt.status, Code: "unknown_agent"}
		if r.Is(core.ErrAgentRevoked) != tt.revoked || r.Is(core.ErrTemporary) != tt.passes || r.Is(core.ErrTaskExpired) || r.Is(errors.New("x")) {
			t.Errorf("%d: revoked %v, passes %v", tt.status, r.Is(core.ErrAgentRevoked), r.Is(core.ErrTemporary))
		}
	}
}

func FuzzNewRefusal(f *testing.F) {
	f.Add([]byte(`{"error":{"code":"task_expired","message":"hunter2 \u0068unter2 %68unter2"}}`), "hunter2")
	f.Add([]byte("Bearer "+testPassword+"\n"+testJWT), testPassword)
	f.Add([]byte("-----BEGIN PRIVATE KEY-----\nMC4C"), "MC4C")
	f.Add([]byte("\\u00"), "\\")
	f.Fuzz(func(t *testing.T, body []byte, secret string) {
		r := core.NewRefusal(core.Answer{Status: 401, Body: body, Now: now}, secret)
		if len(r.Body) > 2<<10 || !utf8.ValidString(r.Body) || strings.ContainsFunc(r.Body, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("%q", r.Body)
		}
		if len(secret) < len("[hidden]") {
			return // it can be in what takes its place
		}
		if strings.Contains(r.Body, secret) || strings.Contains(r.Error(), secret) || strings.Contains(r.Code, secret) {
			t.Errorf("%q is in %q, %q", secret, r.Body, r.Error())
		}
	})
}
