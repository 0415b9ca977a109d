-- LuaJIT, with its ffi: AGENTASSERT_LIBRARY says where the library is. Plain Lua has no FFI.
local ffi = require("ffi")
ffi.cdef([[
  typedef struct { char code[64]; char message[448]; } agentassert_error;
  typedef struct agentassert agentassert;
  int agentassert_open(const void *options, agentassert **core, agentassert_error *error);
  int agentassert_generate_key(agentassert *core, const char *profile, const void *entropy, size_t entropy_size,
    char **private_key, char **public_key, agentassert_error *error);
  int agentassert_assert(agentassert *core, const char *private_key, const char *agent_runtime_id, const char *task_id,
    int64_t now, char **header, int64_t *valid_until, agentassert_error *error);
  int agentassert_verify(agentassert *core, const char *public_key, const char *header, int64_t now, int64_t skew,
    void **inspection, agentassert_error *error);
  void agentassert_free(void *memory);
]])
local library = ffi.load(os.getenv("AGENTASSERT_LIBRARY") or "libagentassert.so.0")
local failure = ffi.new("agentassert_error")
local function check(failed)
  if failed ~= 0 then error(ffi.string(failure.code) .. ": " .. ffi.string(failure.message)) end
end

local core, text, now = ffi.new("agentassert *[1]"), ffi.new("char *[3]"), os.time()
check(library.agentassert_open(nil, core, failure))
check(library.agentassert_generate_key(core[0], nil, nil, 0, text, text + 1, failure))
check(library.agentassert_assert(core[0], text[0], "agent-1", "task-1", now, text + 2, nil, failure))
check(library.agentassert_verify(core[0], text[1], text[2], now, 300, nil, failure))
print("Authorization: " .. ffi.string(text[2]))
for i = 0, 2 do library.agentassert_free(text[i]) end
