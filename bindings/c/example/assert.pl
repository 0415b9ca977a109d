# Perl, with FFI::Platypus: AGENTASSERT_LIBRARY says where the library is.
use strict;
use warnings;
use FFI::Platypus;
use FFI::Platypus::Memory qw(malloc);
use JSON::PP;

my $ffi = FFI::Platypus->new(api => 1, lib => $ENV{AGENTASSERT_LIBRARY} // 'libagentassert.so.0');
$ffi->attach(agentassert_open => ['opaque', 'opaque*', 'opaque'] => 'int');
$ffi->attach(agentassert_call_json => ['opaque', 'string', 'string', 'opaque*', 'opaque'] => 'int');
$ffi->attach(agentassert_free => ['opaque'] => 'void');

my $error = malloc(64 + 448);    # code and message
agentassert_open(undef, \my $core, $error) == 0 or die 'no core';

sub call {
    my ($method, $params) = @_;
    agentassert_call_json($core, $method, encode_json($params), \my $result, $error) == 0
        or die $ffi->cast(opaque => 'string', $error) . ': ' . $ffi->cast(opaque => 'string', $error + 64);
    my $decoded = decode_json($ffi->cast(opaque => 'string', $result));
    agentassert_free($result);
    return $decoded;
}

open my $random, '<:raw', '/dev/urandom' or die $!;
read $random, my $entropy, 32;
my ($now, $keys) = (time, call('key.generate', { entropy => { hex => unpack 'H*', $entropy } }));
my $header = call('assertion.build', { private_key => $keys->{private_key}, agent_runtime_id => 'agent-1',
    task_id => 'task-1', now => $now })->{header};
call('assertion.verify', { public_key => $keys->{public_key}, header => $header, now => $now, skew => 300 });
print "Authorization: $header\n";
