;; A module with agentassert's exports that does what a module must not do, and then does nothing
;; right any more: an instance that has failed is not to be used again. What it does is chosen by a
;; byte of the request: its first, or, of a request of agentassert_call, the first letter of
;; the method's name, where "a" is 0.
(module
  (type $entry (func (param i32 i32) (result i64)))
  (table 1 funcref)
  (elem (i32.const 0) $recurse)
  (global $has_failed (mut i32) (i32.const 0))
  (memory (export "memory") 32 512)
  (data (i32.const 16) "\a1\62ok\a0")                               ;; {"ok": {}}
  (data (i32.const 32) "\a1\62ok\01")                               ;; {"ok": 1}
  (data (i32.const 48) "\a1\65error\a2\64code\68Bad Code\67message\61x") ;; a code that is none
  (data (i32.const 96) "\a1\65error\a2\64code\63bad\67message\64\1b[2J") ;; what a terminal obeys
  (data (i32.const 160) "\a2\62ok\a0\65error\a2\64code\63bad\67message\61x") ;; both
  (data (i32.const 224) "\a0")                                      ;; neither

  (func (export "agentassert_abi") (result i32) (i32.const 2))

  ;; A buffer for the request; none for one of 2 bytes, for one of 3 a place outside of the memory.
  (func (export "agentassert_alloc") (param $size i32) (result i32)
    (if (i32.eq (local.get $size) (i32.const 2)) (then (return (i32.const 0))))
    (if (i32.eq (local.get $size) (i32.const 3)) (then (return (i32.const 0xffffffff))))
    (i32.const 1024))

  (func (export "agentassert_free") (param i32))

  (func $recurse (param $n i32) (result i32)
    (i32.add (call $recurse (i32.add (local.get $n) (i32.const 1))) (i32.const 1)))

  ;; The answer: its address and its size.
  (func $answer (param $address i32) (param $size i32) (result i64)
    (i64.or
      (i64.shl (i64.extend_i32_u (local.get $address)) (i64.const 32))
      (i64.extend_i32_u (local.get $size))))

  (func (export "agentassert_call") (param $request i32) (param $size i32) (result i64)
    (local $choice i32)
    (local.set $choice (i32.load8_u (local.get $request)))
    (if (i32.eq (local.get $choice) (i32.const 0xa2))
      (then (local.set $choice
        (i32.sub (i32.load8_u (i32.add (local.get $request) (i32.const 9))) (i32.const 97)))))
    (if (global.get $has_failed) (then (return (call $answer (i32.const 224) (i32.const 1)))))
    (global.set $has_failed
      (i32.and
        (i32.and (i32.ne (local.get $choice) (i32.const 8)) (i32.ne (local.get $choice) (i32.const 11)))
        (i32.lt_u (local.get $choice) (i32.const 14))))
    (block $fine (block $neither (block $both (block $terminal (block $code (block $one (block $grow
    (block $indirect (block $divide (block $load (block $recursion (block $large (block $empty (block $outside (block $trap
      (br_table $trap $outside $empty $large $recursion $load $divide $indirect $grow $one $code $terminal $both
        $neither $fine (local.get $choice)))
      unreachable)
      (return (call $answer (i32.const 0x7fffffff) (i32.const 16))))
      (return (call $answer (i32.const 16) (i32.const 0))))
      (return (call $answer (i32.const 16) (i32.const 0x100001))))
      (return (i64.extend_i32_u (call $recurse (i32.const 0)))))
      (return (i64.extend_i32_u (i32.load offset=0x7fffffff (i32.const 0x7fffffff)))))
      (return (i64.extend_i32_u (i32.div_u (i32.const 1) (i32.sub (local.get $choice) (local.get $choice))))))
      (return (call_indirect (type $entry) (i32.const 0) (i32.const 0) (i32.const 0))))
      (block $full
        (loop $more
          (br_if $full (i32.eq (memory.grow (i32.const 16)) (i32.const -1)))
          (br $more)))
      (return (call $answer (i32.const 16) (i32.const 5))))
      (return (call $answer (i32.const 32) (i32.const 5))))
      (return (call $answer (i32.const 48) (i32.const 32))))
      (return (call $answer (i32.const 96) (i32.const 30))))
      (return (call $answer (i32.const 160) (i32.const 31))))
      (return (call $answer (i32.const 224) (i32.const 1))))
    (call $answer (i32.const 16) (i32.const 5))))
