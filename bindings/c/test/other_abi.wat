;; A module of another version of the ABI.
(module
  (memory (export "memory") 1)
  (func (export "agentassert_abi") (result i32) (i32.const 1))
  (func (export "agentassert_alloc") (param i32) (result i32) (i32.const 0))
  (func (export "agentassert_free") (param i32))
  (func (export "agentassert_call") (param i32 i32) (result i64) (i64.const 0)))
