# Ruby, with fiddle of its standard library: AGENTASSERT_LIBRARY says where the library is.
require "fiddle/import"
require "json"

module AgentAssert
  extend Fiddle::Importer
  dlload ENV.fetch("AGENTASSERT_LIBRARY", "libagentassert.so.0")
  extern "int agentassert_open(void*, void*, void*)"
  extern "int agentassert_call_json(void*, char*, char*, void*, void*)"
  extern "void agentassert_free(void*)"

  def self.pointer = Fiddle::Pointer.malloc(Fiddle::SIZEOF_VOIDP, Fiddle::RUBY_FREE)

  def self.core
    @core ||= pointer.tap { |place| raise "no core" if agentassert_open(nil, place, nil) != 0 }.ptr
  end

  def self.call(method, params)
    result, error = pointer, Fiddle::Pointer.malloc(64 + 448, Fiddle::RUBY_FREE) # code and message
    failed = agentassert_call_json(core, method, JSON.generate(params), result, error)
    raise "#{error.to_s}: #{(error + 64).to_s}" if failed != 0
    JSON.parse(result.ptr.to_s).tap { agentassert_free(result.ptr) }
  end
end

now = Time.now.to_i
keys = AgentAssert.call("key.generate", entropy: { hex: Random.urandom(32).unpack1("H*") })
header = AgentAssert.call("assertion.build", private_key: keys["private_key"], agent_runtime_id: "agent-1",
                                             task_id: "task-1", now: now)["header"]
AgentAssert.call("assertion.verify", public_key: keys["public_key"], header: header, now: now, skew: 300)
puts "Authorization: #{header}"
