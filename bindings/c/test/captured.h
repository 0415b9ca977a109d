/* An agent of the captured runs (testvectors/assertions.json, build-captured-background, and
 * what follows from it in the other files). Its key is throw-away. */
#ifndef AGENTASSERT_CAPTURED_H
#define AGENTASSERT_CAPTURED_H

#include <stdint.h>

#define CAPTURED_PRIVATE_KEY                                                                                           \
	"MFECAQEwBQYDK2VwBCIEIMtkxP/NRX9pjndXQgO0LwhgpVD/dZwkND8QAkqgkpH0gSEASgQv2MQAAZDw8zY78lDVGoa77F4oKaZCv/vjlto6" \
	"GG4="
#define CAPTURED_PUBLIC_KEY "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEoEL9jEAAGQ8PM2O/JQ1RqGu+xeKCmmQr/745baOhhu"
#define CAPTURED_AGENT "agent-rt-2"
#define CAPTURED_TASK "task-4"
#define CAPTURED_NOW INT64_C(1795533368)
#define CAPTURED_TIMESTAMP "2026-11-24T15:16:08Z"
#define CAPTURED_SIGNATURE "NJhI8C5btqWXOghhCArXPXIoYzqpWkdoeP94PHRzMvs8vozhVrxDWSMYoHrkNxJhacb+S7KWsPBRELERDHLCAw=="
#define CAPTURED_HEADER                                                                                                \
	"AgentAssertion "                                                                                              \
	"eyJhZ2VudF9ydW50aW1lX2lkIjoiYWdlbnQtcnQtMiIsInNpZ25hdHVyZSI6Ik5KaEk4QzVidHFXWE9naGhDQXJYUFhJb1l6cXBXa2RvZVA5" \
	"NFBIUnpNdnM4dm96aFZyeERXU01Zb0hya054SmhhY2IrUzdLV3NQQlJFTEVSREhMQ0F3PT0iLCJ0YXNrX2lkIjoidGFzay00IiwidGltZXN0" \
	"YW1wIjoiMjAyNi0xMS0yNFQxNToxNjowOFoifQ"

#endif
