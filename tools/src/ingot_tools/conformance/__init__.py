"""Whether a device keeps the contract, proved op by op: the machinery of Ingot's own device tests, for any backend.

    records/    what is known of each op: how to call it, on what, what the answer must be (imports nothing of ours)
    harness/    each check on each record
"""
