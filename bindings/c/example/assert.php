<?php
// PHP, with its extension FFI: AGENTASSERT_LIBRARY says where the library is.
$ffi = FFI::cdef('
    typedef struct { char code[64]; char message[448]; } agentassert_error;
    int agentassert_open(const void *options, void **core, agentassert_error *error);
    int agentassert_call_json(void *core, const char *method, const char *params, char **result, agentassert_error *error);
    void agentassert_free(void *memory);
', getenv('AGENTASSERT_LIBRARY') ?: 'libagentassert.so.0');

$error = $ffi->new('agentassert_error');
$core = $ffi->new('void *');
$ffi->agentassert_open(null, FFI::addr($core), FFI::addr($error)) === 0 or throw new Exception('no core');

$call = function (string $method, array $params) use ($ffi, $core, $error): array {
    $result = $ffi->new('char *');
    if ($ffi->agentassert_call_json($core, $method, json_encode($params), FFI::addr($result), FFI::addr($error)) !== 0) {
        throw new Exception(FFI::string($error->code) . ': ' . FFI::string($error->message));
    }
    $decoded = json_decode(FFI::string($result), true);
    $ffi->agentassert_free($result);
    return $decoded;
};

$now = time();
$keys = $call('key.generate', ['entropy' => ['hex' => bin2hex(random_bytes(32))]]);
$header = $call('assertion.build', ['private_key' => $keys['private_key'], 'agent_runtime_id' => 'agent-1',
    'task_id' => 'task-1', 'now' => $now])['header'];
$call('assertion.verify', ['public_key' => $keys['public_key'], 'header' => $header, 'now' => $now, 'skew' => 300]);
echo "Authorization: $header\n";
