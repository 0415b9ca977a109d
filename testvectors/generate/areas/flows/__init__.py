"""flow.step: whole flows, from a stored identity or none to a header.

Each flow is a script of what the host says and what the flow asks for in return.
Unless a flow says otherwise, every event comes a second after the one before it,
so that the second shows which event's time a value was made from.
"""

from areas.flows import (
    auth_api,
    backends,
    captured_runs,
    clocks,
    configured,
    failures,
    fedramp,
    fresh,
    healing,
    instances,
    jwt_identities,
    limits,
    notices,
    pauses,
    races,
    read_only,
    records,
    refused,
    rejections,
    routing,
    stored,
    swaps,
    threads,
)


def vectors():
    """Return the vectors of flows.json."""
    parts = [
        captured_runs.captured_runs,
        stored.without_registration,
        stored.stored,
        fresh.fresh,
        failures.failing_requests,
        pauses.backing_off,
        failures.failing_hosts,
        races.races,
        threads.threads,
        rejections.rejections,
        pauses.retry_after,
        auth_api.auth_api,
        auth_api.turns,
        instances.runtime_instances,
        routing.routing,
        jwt_identities.jwt_identities,
        fedramp.fedramp,
        pauses.pauses,
        records.records,
        backends.backends,
        healing.healing,
        healing.threads,
        healing.rejected,
        clocks.clocks,
        notices.notices,
        read_only.read_only,
        swaps.swaps,
        refused.refused,
        limits.limits,
        configured.configured,
    ]
    return [vector for part in parts for vector in part()]
